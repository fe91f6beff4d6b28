"""The number of examples of property tests, by the profile of Hypothesis."""

from hypothesis import HealthCheck, settings

# A slow machine is not a failure.
settings.register_profile(
    "standard", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.register_profile("fast", settings.get_profile("standard"), max_examples=5)
settings.register_profile("thorough", settings.get_profile("standard"), max_examples=250)


def examples(count: int) -> int:
    """`count` in the profile `standard`, a tenth in `fast`, five times as many in `thorough`."""
    return max(1, count * settings.default.max_examples // 50)
