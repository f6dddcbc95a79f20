"""One request's way from a parsed URL to a finished rendition."""

from imgforge.concurrency import Coalescer
from imgforge.pipeline.caches import Caches, CachesSettings, make_caches
from imgforge.pipeline.crash_tracker import CrashTracker, NullCrashTracker, Quarantine
from imgforge.pipeline.limits.admission import Admission
from imgforge.pipeline.limits.memory_budget import MemoryBudget
from imgforge.pipeline.negative_cache import NegativeCache
from imgforge.pipeline.original_fetcher import OriginalFetcher
from imgforge.pipeline.pipeline import Pipeline
from imgforge.pipeline.render_threads import IThreadReactor, RenderThreads
from imgforge.pipeline.renderer import PipelineSettings
from imgforge.pipeline.result_cache import CachedResult, CacheState
from imgforge.pipeline.staleness import StalenessPolicy

__all__ = [
    "Admission",
    "CacheState",
    "CachedResult",
    "Caches",
    "CachesSettings",
    "Coalescer",
    "CrashTracker",
    "IThreadReactor",
    "MemoryBudget",
    "NegativeCache",
    "NullCrashTracker",
    "OriginalFetcher",
    "Pipeline",
    "PipelineSettings",
    "Quarantine",
    "RenderThreads",
    "StalenessPolicy",
    "make_caches",
]
