"""Which child is given a lease."""

import sys

import pytest

from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.work import Lease
from labelferry_workers.pool import Pool
from labelferry_workers.settings import PoolSettings

pytestmark = pytest.mark.processes
LEASE = Lease(job_id="b" * 32, attempt=1, owner="o", project="p", source=Source(location="/p"), options=ExportOptions())


class LonePool(Pool):
    """A pool in a process that adopts nobody's children."""

    def __post_init__(self) -> None:
        pass


def test_a_child_that_has_just_died_is_passed_over() -> None:
    pool = LonePool(PoolSettings(command=(sys.executable, "-c", "import time; time.sleep(600)")), 1, [])
    try:
        pool.fill(0.0)
        (dead,) = pool.children
        dead.process.kill()
        dead.process.wait()
        while not dead.broken:
            list(pool.hear(dead))
        dead.broken = False  # as it is until somebody looks
        assert pool.begin(LEASE) is None
        assert [child.key is not None for child in pool.children] == [False, True]
        assert dead.broken
    finally:
        for child in pool.children:
            child.end()
            child.process.wait()
            child.close()
