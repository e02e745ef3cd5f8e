"""What all tests share: hypothesis must not fail because the machine is slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("seawall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seawall")
