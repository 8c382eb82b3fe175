"""What every test shares: the profiles of the property tests. None judges a test by the speed of the machine.

By default the examples are the same on every run, so that a red run is a change's fault; `make fuzz` looks for new ones.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
settings.register_profile("fuzz", deadline=None, suppress_health_check=list(HealthCheck), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
