"""Truncated files: refused, or shown as far as they go where IMGFORGE_TRUNCATED_IMAGES says serve, as by imgproxy.

A file is read strictly first, so that a complete one costs nothing more. Where that fails, it is read once more, and
the picture is what the decoder has at the end of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pyvips

from imgforge.errors import NotAnImage
from imgforge.processing.codecs.broken_files import broken
from imgforge.processing.codecs.formats import FORMATS, detect_format
from imgforge.processing.pyvips_compat import readable_error
from imgforge.processing.resources import Cancellation
from imgforge.processing.settings import ProcessingSettings

__all__ = ["whole_or_part"]

T = TypeVar("T")


def whole_or_part(
    source: bytes, settings: ProcessingSettings, cancellation: Cancellation, work: Callable[[bool], T]
) -> tuple[T, bool]:
    """Returns the result of *work* on *source*, and whether *source* is truncated; *work*(True) must accept that.

    `pyvips.Error` becomes `NotAnImage`, or `RequestTimeout` once *cancellation* was cancelled.
    """
    try:
        return _translated(work, source, cancellation, partial=False), False
    except NotAnImage:
        name = detect_format(source)
        if settings.truncated_images != "serve" or name is None or not FORMATS[name].partial:
            raise
        try:
            return _translated(work, source, cancellation, partial=True), True
        except NotAnImage:
            pass
        raise  # the first error says more


def _translated(work: Callable[[bool], T], source: bytes, cancellation: Cancellation, *, partial: bool) -> T:
    try:
        return work(partial)
    except (pyvips.Error, UnicodeDecodeError) as error:
        cause = readable_error(error) if isinstance(error, UnicodeDecodeError) else error
        if cause is None:
            raise
        cancellation.check()
        raise broken(cause, source) from None
