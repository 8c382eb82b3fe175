"""The user's side of the embedded service: find it or start it, hold it, notice its death, let it go."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from labelferry.embedded.place import Place, ServiceFacts
from labelferry_protocol.errors import Code, Refusal
from labelferry_transport.amounts import days, size

START_SECONDS = 30.0
STOP_SECONDS = 5.0
STEP_SECONDS = 0.02
CACHE_VARIABLE = "LABELFERRY_CACHE_BYTES"
"""Where a worker that is not told otherwise reads how much it keeps for later exports."""
AMOUNTS: dict[str, Callable[[str], float]] = {
    "LABELFERRY_KEEP_DAYS": days,
    "LABELFERRY_KEEP_BYTES": size,
    CACHE_VARIABLE: size,
}
"""What broker and worker read of the environment, and how they read it."""
SURE = 3
"""So many looks in a row must find another user: a look holds the lock too, for a moment, and two that leave may meet."""


class EmbeddedService:
    """The embedded service, held while this context is open: the last to let it go waits until it is gone.

    `workers` is how many jobs it runs at once, if it is started here; 0 asks for a broker alone (to read the history). `cache_bytes` of
    finished work are kept for later exports, if it is started here; None leaves that to the environment.
    `patience` is called every few hundredths of a second while waiting and may raise to give up (a Ctrl-C).
    """

    def __init__(
        self, state: Path, workers: int, patience: Callable[[], None] = lambda: None, cache_bytes: int | None = None
    ) -> None:
        self._place = Place(state)
        self._workers = workers
        self._patience = patience
        self._cache_bytes = cache_bytes
        self._holder = self._place.lock("holders")
        self.endpoint = ""

    def __enter__(self) -> Self:
        self._place.prepare()
        start = self._place.lock("start")
        try:
            self._wait_until(start.try_take, "another start of the embedded service does not end")
            self.endpoint = self._find_or_start().endpoint
        except BaseException:
            self.let_go()
            raise
        finally:
            start.release()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()

    def check(self) -> None:
        """Raise `Refusal(INTERNAL)` with what happened when the service has died."""
        if not self._place.host_lives():
            raise Refusal(Code.INTERNAL, self._why())

    def let_go(self) -> None:
        """Stop using the service; when nobody else does, wait until all of it is gone."""
        self._holder.release()
        until = time.monotonic() + STOP_SECONDS
        others = 0
        while others < SURE and self._place.host_lives() and time.monotonic() < until:
            others = others + 1 if self._somebody_holds_it() else 0
            time.sleep(STEP_SECONDS)

    def _somebody_holds_it(self) -> bool:
        """Look whether the lock is held shared: by a user, then. Free, the host has yet to notice; held alone, it is stopping."""
        probe = self._place.lock("holders")
        held = not probe.try_take() and probe.try_take(shared=True)
        probe.release()
        return held

    def _find_or_start(self) -> ServiceFacts:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            self._wait_until(lambda: self._holder.try_take(shared=True), "the embedded service does not stop")
            facts = self._place.facts()
            if not self._place.host_lives():
                return self._start()
            if facts is not None and (facts.workers or not self._workers):
                return facts
            self._holder.release()
            self._pause()
        raise Refusal(
            Code.BUSY, f"the embedded service in {self._place.state} is busy: try again, or stop what uses it"
        )

    def _start(self) -> ServiceFacts:
        self._place.facts_file.unlink(missing_ok=True)
        self._place.failed_file.unlink(missing_ok=True)
        environment = self._environment()
        self._place.check_room()
        command = [sys.executable, "-P", "-m", "labelferry.embedded", str(self._place.state), str(self._workers)]
        with self._place.log_file.open("ab") as log:
            host = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            facts = self._place.facts()
            if facts is not None:
                return facts
            if host.poll() is not None:
                raise Refusal(Code.INTERNAL, self._why())
            self._pause()
        raise Refusal(
            Code.INTERNAL,
            f"the embedded service did not start within {START_SECONDS:.0f} s: see {self._place.log_file}",
        )

    def _environment(self) -> dict[str, str]:
        cache = {} if self._cache_bytes is None else {CACHE_VARIABLE: str(self._cache_bytes)}
        environment = {**os.environ, **cache}
        for name, read in AMOUNTS.items():
            try:
                read(environment.get(name) or "0")
            except argparse.ArgumentTypeError as error:
                # The service would say so in its log alone.
                raise Refusal(Code.USAGE, f"{name}: {error}") from None
        return environment

    def _why(self) -> str:
        reason = self._place.failure() or "the embedded service has died"
        return f"{reason}: see {self._place.log_file}"

    def _wait_until(self, done: Callable[[], bool], otherwise: str) -> None:
        until = time.monotonic() + START_SECONDS
        while not done():
            if time.monotonic() > until:
                raise Refusal(Code.BUSY, f"{otherwise}: see {self._place.log_file}")
            self._pause()

    def _pause(self) -> None:
        self._patience()
        time.sleep(STEP_SECONDS)
