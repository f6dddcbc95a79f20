"""One request's way from a parsed URL to a finished rendition."""

from imgforge.pipeline._admission import Admission
from imgforge.pipeline._budget import Budget
from imgforge.pipeline._failures import Failures
from imgforge.pipeline._freshness import Freshness
from imgforge.pipeline._originals import Originals
from imgforge.pipeline._pipeline import Pipeline
from imgforge.pipeline._render import PipelineSettings
from imgforge.pipeline._shelf import Served, State
from imgforge.pipeline._single_flight import SingleFlight
from imgforge.pipeline._store import Store, StoreSettings, make_store
from imgforge.pipeline._threads import IThreadReactor, RenderThreads
from imgforge.pipeline._witness import Quarantine, Unwatched, Witness

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
