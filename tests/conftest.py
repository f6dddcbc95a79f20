"""Hypothesis for machines of any speed: how long an example takes says nothing about what it shows."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("imgforge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("imgforge")
