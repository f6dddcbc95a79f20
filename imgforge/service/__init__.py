"""The twistd service: processes, listeners, signals, and the composition of everything else.

What it has for other packages is imported when it is asked for: the supervisor needs none of it.
"""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.service.cache_translation import shared_tier_settings
    from imgforge.service.checks import all_plugins, check_settings
    from imgforge.service.explanation import Explanation, FetchedOriginal, explain, fetched_original
    from imgforge.service.offline_renderer import OfflineRenderer
    from imgforge.service.platform import pixel_bytes, usable_bytes, usable_cpus
    from imgforge.service.playground_command import playground_settings, run_playground
    from imgforge.service.prerendering import make_intake, make_queue, run_worker
    from imgforge.service.shares import threads_per_process
    from imgforge.service.startup_lines import descriptors_needed
    from imgforge.service.startup_report import missing_formats, unwritten_formats
    from imgforge.service.translation import caches_settings, source_settings
    from imgforge.service.url_translation import url_settings

__all__ = [
    "Explanation",
    "FetchedOriginal",
    "OfflineRenderer",
    "all_plugins",
    "caches_settings",
    "check_settings",
    "descriptors_needed",
    "explain",
    "fetched_original",
    "make_intake",
    "make_queue",
    "missing_formats",
    "pixel_bytes",
    "playground_settings",
    "run_playground",
    "run_worker",
    "shared_tier_settings",
    "source_settings",
    "threads_per_process",
    "unwritten_formats",
    "url_settings",
    "usable_bytes",
    "usable_cpus",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".cache_translation": ("shared_tier_settings",),
        ".checks": ("all_plugins", "check_settings"),
        ".offline_renderer": ("OfflineRenderer",),
        ".platform": ("pixel_bytes", "usable_cpus", "usable_bytes"),
        ".explanation": ("Explanation", "FetchedOriginal", "explain", "fetched_original"),
        ".playground_command": ("playground_settings", "run_playground"),
        ".prerendering": ("make_intake", "make_queue", "run_worker"),
        ".shares": ("threads_per_process",),
        ".startup_lines": ("descriptors_needed",),
        ".startup_report": ("missing_formats", "unwritten_formats"),
        ".translation": ("caches_settings", "source_settings"),
        ".url_translation": ("url_settings",),
    },
)
