"""Many subscribers to one job, late ones and a stopped one: all see the same ordered events, all see the end."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.processes import Service

from labelferry import Client, Completed, ExportOptions, Progress

pytestmark = pytest.mark.processes

WATCHER = """
import json, sys
from labelferry import Client
from labelferry_protocol import codec
with Client(sys.argv[1]) as client:
    for event in client.events(sys.argv[2]):
        print(json.dumps(codec.plain(event)), flush=True)
"""


def watch(service: Service, job: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", WATCHER, service.endpoint, job], stdout=subprocess.PIPE, text=True)


def test_subscribers_early_and_late_see_the_same_events_to_the_same_end(
    service: Service, client: Client, project: Path
) -> None:
    job = client.submit(project, ExportOptions(formats=("coco",), metrics=("csv",))).job_id
    watchers = [watch(service, job) for _ in range(7)]
    for event in client.events(job):
        if isinstance(event, Progress) and event.progress >= 50 and len(watchers) < 10:
            watchers.append(watch(service, job))
    assert isinstance(event, Completed)
    watchers.append(watch(service, job))
    stories = []
    for watcher in watchers:
        out, _ = watcher.communicate(timeout=30)
        stories.append([json.loads(line) for line in out.splitlines()])
    by_seq: dict[int, dict[str, object]] = {}
    for story in stories:
        sequence = [each["seq"] for each in story]
        assert sequence == sorted(set(sequence))
        assert story[-1]["kind"] == "completed"
        for each in story:
            assert by_seq.setdefault(each["seq"], each) == each, "one number is one event, for everybody"


def test_a_subscriber_that_was_stopped_catches_up_and_disturbs_nobody(
    service: Service, client: Client, project: Path
) -> None:
    job = client.submit(project, ExportOptions(formats=("coco",), metrics=("csv",))).job_id
    stopped = watch(service, job)
    assert stopped.stdout is not None
    assert json.loads(stopped.stdout.readline())["kind"] in ("started", "progress")
    stopped.send_signal(signal.SIGSTOP)
    *_, last = client.events(job)
    assert isinstance(last, Completed)
    stopped.send_signal(signal.SIGCONT)
    out, _ = stopped.communicate(timeout=30)
    assert json.loads(out.splitlines()[-1])["kind"] == "completed"
