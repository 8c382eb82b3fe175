"""What every test shares: one profile for the property tests, that does not judge a test by the speed of the machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("labelferry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("labelferry")
