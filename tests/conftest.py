"""Settings of all tests."""

import os

from hypothesis import HealthCheck, settings

# No deadline: a loaded machine is no fault. In CI the same examples each time; at a desk new ones: the search goes on.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
