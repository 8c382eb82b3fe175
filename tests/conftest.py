"""What every test shares: the profiles of the property tests, and signals that nobody ignores. None judges a test by the speed of the machine.

By default the examples are the same on every run, so that a red run is a change's fault; `make fuzz` looks for new ones.
"""

import os
import signal

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
