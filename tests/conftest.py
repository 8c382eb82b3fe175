"""What every test shares: the profiles of the property tests, signals that nobody ignores, and a log that can be put back. None judges a test by the speed of the machine.

By default the examples are the same on every run, so that a red run is a change's fault; `make fuzz` looks for new ones.
"""

import logging
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
settings.register_profile("fuzz", deadline=None, suppress_health_check=list(HealthCheck), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Ignored where the tests run in the background or under nohup, and handed on to every process that they start and send signals to.
for number, handler in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture
def logging_put_back() -> Iterator[None]:
    """Leave the log of this process as it was."""
    root = logging.getLogger("labelferry")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before[0], before[1], before[2]
