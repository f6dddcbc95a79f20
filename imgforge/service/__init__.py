"""The twistd service: processes, listeners, signals, and the composition of everything else.

What it has for other packages is imported when it is asked for: the supervisor needs none of it.
"""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.service.cache_translation import shared_tier_settings
    from imgforge.service.checks import all_plugins, check_settings
    from imgforge.service.platform import usable_cpus
    from imgforge.service.prerendering import make_intake, make_queue, run_worker
    from imgforge.service.translation import caches_settings
    from imgforge.service.url_translation import url_settings

__all__ = [
    "all_plugins",
    "caches_settings",
    "check_settings",
    "make_intake",
    "make_queue",
    "run_worker",
    "shared_tier_settings",
    "url_settings",
    "usable_cpus",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".cache_translation": ("shared_tier_settings",),
        ".checks": ("all_plugins", "check_settings"),
        ".platform": ("usable_cpus",),
        ".prerendering": ("make_intake", "make_queue", "run_worker"),
        ".translation": ("caches_settings",),
        ".url_translation": ("url_settings",),
    },
)
