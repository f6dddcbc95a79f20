"""The twistd service: processes, listeners, signals, and the composition of everything else.

What it has for other packages is imported when it is asked for: the supervisor needs none of it.
"""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.service.checks import check_settings
    from imgforge.service.translation import caches_settings
    from imgforge.service.url_translation import url_settings

__all__ = ["caches_settings", "check_settings", "url_settings"]

__getattr__ = lazy_door(
    __name__,
    {
        ".checks": ("check_settings",),
        ".translation": ("caches_settings",),
        ".url_translation": ("url_settings",),
    },
)
