"""Rows 29, 31: workers whose key is not known yet, is taken back and given again, or is none for a worker."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.ports import reserved_base_port
from tests.support.processes import Service, running_service, wait_until

from labelferry import Client, Completed, ExportOptions
from labelferry_protocol.words import Role
from labelferry_transport.keys import load_key, make_broker_key, make_peer_key

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Keyed = Callable[..., Service]


@pytest.fixture
def keyed(tmp_path: Path, small: Path) -> Iterator[Keyed]:
    """Makes a service on tcp whose broker knows the worker gpu1, the user bob and the admin root by their keys, beside it in `keys`."""
    keys = tmp_path / "keys"
    make_broker_key(keys)
    for role, name in ((Role.WORKER, "gpu1"), (Role.USER, "bob"), (Role.ADMIN, "root")):
        make_peer_key(keys, role, name, tmp_path / f"{name}.key")
    with ExitStack() as closing:
        port = closing.enter_context(reserved_base_port())

        def prepare(service: Service) -> None:
            service.listen = f"tcp://127.0.0.1:{port}"
            service.broker_options = ("--keys", str(keys))
            service.options = ("--key", str(tmp_path / "gpu1.key"), "--root", str(small))

        yield lambda *workers: closing.enter_context(running_service(tmp_path, *workers, prepare=prepare))


def refusals(service: Service, domain: str) -> list[str]:
    """What the broker's log says of the key gpu1 at this door."""
    public = load_key(service.root / "gpu1.key").public
    lines = service.log("broker").splitlines()
    return [each for each in lines if f"refused domain={domain} " in each and json.dumps(public) in each]


def finish_a_job(service: Service, project: Path) -> None:
    with Client(service.endpoint, key=service.root / "root.key") as client:
        wait_until(lambda: client.overview().workers, "the worker")
        assert isinstance(list(client.events(client.submit(project, OPTIONS).job_id))[-1], Completed)


@pytest.mark.parametrize("taken", ["authorized/worker-gpu1.pub", "authorized"])
def test_row_31_a_worker_whose_key_is_not_known_for_a_while_is_in_again_soon_and_does_its_jobs(
    keyed: Keyed, small: Path, taken: str
) -> None:
    service = keyed("worker")
    there, away = service.root / "keys" / taken, service.root / "away"
    finish_a_job(service, small)
    there.rename(away)
    # It has tried to come back by then, and was refused: for libzmq that is for good.
    wait_until(lambda: refusals(service, "labelferry.work"), "a refusal")
    away.rename(there)
    wait_until(lambda: service.log("worker").count(" connected to the broker") == 2, "the worker")
    finish_a_job(service, small)
    assert service.log("worker").count(" welcomed ") == 2


def test_row_29_workers_that_are_not_let_in_say_so_and_get_in_when_their_key_is_known(
    keyed: Keyed, small: Path
) -> None:
    service = keyed()
    there, away = service.root / "keys/authorized/worker-gpu1.pub", service.root / "away"
    there.rename(away)
    service.start("early", wait=False)
    service.options = ()
    service.start("keyless", wait=False)
    for name, advice in (("early", "does it know the key gpu1?"), ("keyless", "this worker needs one: --key FILE")):
        wait_until(lambda name=name: "no broker has let this worker in" in service.log(name), "a word about it")  # type: ignore[misc]  # mypy cannot tell the type of a lambda's default
        assert f"broker={service.endpoint}" in service.log(name)
        assert advice in service.log(name)
    away.rename(there)
    service.await_ready("early")
    finish_a_job(service, small)


@pytest.mark.parametrize(("name", "whose"), [("bob", "a user's"), ("root", "an admin's")])
def test_row_29_a_worker_with_a_key_that_is_none_for_a_worker_ends_with_a_sentence(
    keyed: Keyed, small: Path, name: str, whose: str
) -> None:
    service = keyed()
    way = ("--broker", service.endpoint, "--key", str(service.root / f"{name}.key"), "--root", str(small))
    ended = subprocess.run(
        [sys.executable, "-m", "labelferry_workers", *way, "--staging", str(service.staging)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 4
    assert f"labelferry worker: {name} is {whose} key at {service.endpoint}: give a worker's" in ended.stderr
