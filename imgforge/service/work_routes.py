"""The routes whose requests need image threads or originals, by their names in the metrics."""

from __future__ import annotations

__all__ = ["IMAGES", "INFO", "WORK_ROUTES"]

IMAGES = "/{*path}"
INFO = "/info/{*path}"
WORK_ROUTES = frozenset({IMAGES, INFO})
