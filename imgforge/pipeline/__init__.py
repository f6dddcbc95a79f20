"""One request's way from a parsed URL to a finished rendition."""

from imgforge.pipeline._admission import Admission
from imgforge.pipeline._pipeline import Pipeline, PipelineSettings, Served
from imgforge.pipeline._single_flight import SingleFlight
from imgforge.pipeline._threads import IThreadReactor, RenderThreads

__all__ = ["Admission", "IThreadReactor", "Pipeline", "PipelineSettings", "RenderThreads", "Served", "SingleFlight"]
