"""Tests; those with properties have no time limit, for how busy the machine is proves nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("olla", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("olla")
