"""Hypothesis profiles: dev (default), ci (derandomised), deep. Choose one with HYPOTHESIS_PROFILE=deep."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile(
    "dev", max_examples=4, deadline=None, suppress_health_check=_QUIET, report_multiple_bugs=False
)
settings.register_profile(
    "ci",
    max_examples=4,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=_QUIET,
    print_blob=True,
)
settings.register_profile("deep", max_examples=300, deadline=None, suppress_health_check=_QUIET, print_blob=True)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
