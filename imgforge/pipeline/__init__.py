"""One request's way from a parsed URL to a finished result: caches, coalescing, fetches, limits and renders."""

from imgforge.pipeline.caches import Caches, CachesSettings, make_caches
from imgforge.pipeline.crash_tracker import CrashTracker, NullCrashTracker, Quarantine
from imgforge.pipeline.limits import Admission, MemoryBudget
from imgforge.pipeline.negative_cache import NegativeCache
from imgforge.pipeline.original_fetcher import OriginalFetcher
from imgforge.pipeline.parts import PipelineParts, PipelineSettings
from imgforge.pipeline.pipeline import Pipeline
from imgforge.pipeline.render_threads import RenderThreads
from imgforge.pipeline.renderer import shows_watermark_image
from imgforge.pipeline.result_cache import CachedResult, CacheState
from imgforge.pipeline.staleness import StalenessPolicy

__all__ = [
    "Admission",
    "CacheState",
    "CachedResult",
    "Caches",
    "CachesSettings",
    "CrashTracker",
    "MemoryBudget",
    "NegativeCache",
    "NullCrashTracker",
    "OriginalFetcher",
    "Pipeline",
    "PipelineParts",
    "PipelineSettings",
    "Quarantine",
    "RenderThreads",
    "StalenessPolicy",
    "make_caches",
    "shows_watermark_image",
]
