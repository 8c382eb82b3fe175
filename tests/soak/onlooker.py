"""One more subscriber to a job, in a process of its own: it is stopped for a while, or killed, and harms nobody by that."""

import asyncio
import json
import random
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

PROGRAM = """
import json, sys
from labelferry import Client
from labelferry_protocol import codec
with Client(sys.argv[1]) as client:
    for event in client.events(sys.argv[2]):
        print(json.dumps(codec.plain(event)), flush=True)
"""


@dataclass(frozen=True)
class Onlooker:
    """How one fared: whether it was killed, the event numbers that it saw, and the kind of the last event."""

    killed: bool
    numbers: tuple[int, ...]
    last: str


async def look_on(endpoint: str, job_id: str, dice: random.Random) -> Onlooker:
    """Watch a job to its end from another process that is stopped for some seconds, or killed, on the way."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, endpoint, job_id, stdout=asyncio.subprocess.PIPE
    )
    dies = dice.random() < 0.5
    moment, pause = dice.uniform(0.0, 2.0), dice.uniform(1.0, 5.0)
    assert process.stdout is not None
    said = asyncio.create_task(process.stdout.read())
    try:
        done, _ = await asyncio.wait([said], timeout=moment)
        if not done:
            # It may have ended by itself at just this moment.
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL if dies else signal.SIGSTOP)
                if not dies:
                    await asyncio.sleep(pause)
                    process.send_signal(signal.SIGCONT)
        out = await said
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    code = await process.wait()
    lines = [json.loads(line) for line in out.splitlines(keepends=True) if line.endswith(b"\n")]
    return Onlooker(code == -signal.SIGKILL, tuple(line["seq"] for line in lines), lines[-1]["kind"] if lines else "")
