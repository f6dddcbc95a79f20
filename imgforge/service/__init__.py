"""The twistd service: processes, listeners, signals, and the composition of everything else."""

from imgforge.service.checks import RULES
from imgforge.service.translation import caches_settings, url_settings

__all__ = ["RULES", "caches_settings", "url_settings"]
