"""Image processing on libvips: plain, synchronous, without any I/O. Called from threads, batch jobs and tests alike."""

from imgforge.processing._cancellation import Cancellation
from imgforge.processing._formats import FORMATS, Format, check_format, detect_format, sniffed_media_type
from imgforge.processing._info import describe
from imgforge.processing._pixel_memory import PixelMemory
from imgforge.processing._plan import Geometry, Plan, geometry, plan
from imgforge.processing._process import STAGES, process
from imgforge.processing._samples import SAMPLES, draw_sample
from imgforge.processing._settings import ProcessingSettings
from imgforge.processing._vips import Capabilities, capabilities, configure, needed_for, usage

__all__ = [
    "FORMATS",
    "SAMPLES",
    "STAGES",
    "Cancellation",
    "Capabilities",
    "Format",
    "Geometry",
    "PixelMemory",
    "Plan",
    "ProcessingSettings",
    "capabilities",
    "check_format",
    "configure",
    "describe",
    "detect_format",
    "draw_sample",
    "geometry",
    "needed_for",
    "plan",
    "process",
    "sniffed_media_type",
    "usage",
]
