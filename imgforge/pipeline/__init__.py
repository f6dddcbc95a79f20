"""One request's way from a parsed URL to a finished rendition."""

from imgforge.pipeline.caches import Store, StoreSettings, make_store
from imgforge.pipeline.coalescing import SingleFlight
from imgforge.pipeline.crash_tracker import Quarantine, Unwatched, Witness
from imgforge.pipeline.limits.admission import Admission
from imgforge.pipeline.limits.memory_budget import Budget
from imgforge.pipeline.negative_cache import Failures
from imgforge.pipeline.original_fetcher import Originals
from imgforge.pipeline.pipeline import Pipeline
from imgforge.pipeline.render_threads import IThreadReactor, RenderThreads
from imgforge.pipeline.renderer import PipelineSettings
from imgforge.pipeline.result_cache import Served, State
from imgforge.pipeline.staleness import Freshness

__all__ = [
    "Admission",
    "Budget",
    "Failures",
    "Freshness",
    "IThreadReactor",
    "Originals",
    "Pipeline",
    "PipelineSettings",
    "Quarantine",
    "RenderThreads",
    "Served",
    "SingleFlight",
    "State",
    "Store",
    "StoreSettings",
    "Unwatched",
    "Witness",
    "make_store",
]
