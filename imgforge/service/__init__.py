"""The twistd service: processes, listeners, signals, and the composition of everything else.

What it has for other packages is imported when it is asked for: the supervisor needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgforge.service.checks import check_settings
    from imgforge.service.translation import caches_settings
    from imgforge.service.url_translation import url_settings

__all__ = ["caches_settings", "check_settings", "url_settings"]

_MODULES = {"check_settings": "checks", "caches_settings": "translation", "url_settings": "url_translation"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
