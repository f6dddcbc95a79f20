"""The source's format by its name, and the rehearsal of a rendition of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from imgforge.config import Settings
from imgforge.model import ImageRequest, ProcessingOptions, is_data_url
from imgforge.processing import FORMATS, Cancellation, Rehearsal, blank_source, rehearse
from imgforge.service.translation import processing_settings
from imgforge.urls import FORMATS as FORMAT_NAMES

__all__ = ["format_by_name", "rehearsed"]

_LONGEST = 10.0  # seconds of one rehearsal
_UNSIZED = (64, 64)  # pixels of the image by which a format is chosen where no size is known
_READ_ONLY = {"pdf": "pdf", "psd": "psd", "jpe": "jpeg", "jfif": "jpeg", "svgz": "svg"}


def format_by_name(source: str) -> str:
    """The format that the URL of a *source* suggests; JPEG without a hint."""
    if is_data_url(source):
        media_type = source.partition(":")[2].partition(",")[0].partition(";")[0].lower()
        return next((name for name, one in FORMATS.items() if one.mime_type == media_type), "jpeg")
    try:
        path = urlsplit(source).path
    except ValueError:  # no URL of a host, perhaps a key in a store
        path = source.partition("?")[0]
    suffix = path.rpartition(".")[2].lower()
    name = {**FORMAT_NAMES, **_READ_ONLY}.get(suffix, "jpeg")
    return name if name in FORMATS else "jpeg"


def rehearsed(
    request: ImageRequest,
    settings: Settings,
    accepted: tuple[str, ...],
    *,
    source: bytes | None,
    size: tuple[int, int] | None,
) -> Rehearsal:
    """The stages for *source*, or for a black image of *size*; with neither, only the choice of the format.

    Raises the error of the rendition.
    """
    chain = (request.options, *request.chained)
    hinted = {name: value for name, value in request.hints._asdict().items() if value}
    first = replace(chain[0], **hinted) if hinted else chain[0]
    counts_as = ""
    if source is None:
        first = replace(first, hashsum=None)
        body, counts_as = blank_source(*(size or _UNSIZED), format_by_name(request.source))
    else:
        body = source
    cancellation = Cancellation()
    timer = threading.Timer(_LONGEST, cancellation.cancel)
    timer.daemon = True
    timer.start()
    try:
        return rehearse(
            body,
            first,
            processing_settings(settings),
            chained=request.chained,
            accepted=accepted,
            watermarks=_watermarks(chain, settings),
            cancellation=cancellation,
            counts_as=counts_as,
            format_only=source is None and size is None,
        )
    finally:
        timer.cancel()
        cancellation.forget()


def _watermarks(chain: tuple[ProcessingOptions, ...], settings: Settings) -> Mapping[str, bytes]:
    """A black image for each watermark: none is fetched, and none changes a size."""
    own = settings.watermark_data or settings.watermark_path or settings.watermark_url
    names = {one.watermark_url for one in chain if one.watermark_url} | ({""} if own else set())
    return {name: blank_source(*_UNSIZED, "png")[0] for name in names}
