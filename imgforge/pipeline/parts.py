"""What the pipeline is made of: its settings, and the parts of the process that it works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.observability import Metrics
from imgforge.pipeline.caches import Caches
from imgforge.pipeline.crash_tracker import Quarantine
from imgforge.pipeline.limits import Admission
from imgforge.pipeline.render_threads import RenderThreads
from imgforge.processing import PixelBudget, ProcessingSettings
from imgforge.sources import SourceRegistry

__all__ = ["PipelineParts", "PipelineSettings"]


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The operator's settings for results; times in seconds, sizes in bytes, a `max_src_file_size` of 0 is unlimited.

    `fingerprint` stands for all settings that change pixels: entries made under another one are not found. `watermark`
    and `fallback` are the operator's own images; with `cache_presets_only` only results of presets are cached.
    """

    timeout: float
    max_src_file_size: int
    processing: ProcessingSettings
    fingerprint: bytes
    watermark: bytes | None = None
    watermark_url: str = ""
    fallback: bytes | None = None
    fallback_url: str = ""
    cache_presets_only: bool = False


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """The parts of a process that its pipeline works with.

    `sources` streams raw originals, `caches` has results and originals, `threads` render under `admission`, `metrics`
    counts. `quarantine` refuses sources that crashed a process; `pixel_budget` bounds the bytes of decoded pixels.
    """

    sources: SourceRegistry
    caches: Caches
    threads: RenderThreads
    admission: Admission
    metrics: Metrics
    quarantine: Quarantine = field(default_factory=Quarantine)
    pixel_budget: PixelBudget | None = None
