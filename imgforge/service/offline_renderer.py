"""Renders files without a server: the options, settings and limits are those of a URL, and so are the bytes."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import TimeoutError as TookTooLong

from imgforge import processing
from imgforge.concurrency import run_in_own_reactor
from imgforge.config import Settings
from imgforge.errors import BadOption, ImgforgeError, OriginFailed, SourceTooLarge
from imgforge.model import Rendition
from imgforge.pipeline import shows_watermark_image
from imgforge.processing import Cancellation
from imgforge.service.platform import pixel_bytes
from imgforge.service.translation import negotiation, operators_image, processing_settings, source_settings
from imgforge.service.url_translation import url_settings
from imgforge.sources import SourceRegistry
from imgforge.urls import UrlParser, UrlSettings

__all__ = ["OfflineRenderer"]

_SOURCE = "local:///file"  # stands for the file in the URL that has the options
_CHAIN = "-"  # separates pipelines


class OfflineRenderer:
    """Renders files under *options*, written as in a URL, to the format *extension* or to the one that they name.

    *accept* is the Accept header of the client that the files are for. Callable from many threads at once, which share
    the bytes of pixels that the settings allow. Raises `BadOption` and the like for options that a URL may not have,
    and an `ImgforgeError` where a watermark that they name cannot be fetched.
    """

    def __init__(self, settings: Settings, options: str, *, extension: str = "", accept: str = "") -> None:
        processing.configure()
        request = UrlParser(_rules(settings)).parse(_target(settings, options, extension))
        request.delivery.check_expiry(time.time())
        self._request = request
        self._accepted = negotiation(settings).accepted(request, accept)
        self._processing = processing_settings(settings)
        limit = request.options.max_src_file_size
        self.limit: int = settings.max_src_file_size if limit is None else limit
        self._pixel_budget = processing.PixelBudget(pixel_bytes(settings, 1))
        self._watermarks = self._find_watermarks(settings)

    @property
    def format(self) -> str:
        """The format of all results; empty where it depends on the file."""
        named = [one.format for one in (self._request.options, *self._request.chained) if one.format is not None]
        return "" if not named or named[-1] == "best" or self._accepted or self._request.delivery.raw else named[-1]

    def render(self, body: bytes, cancellation: Cancellation) -> Rendition:
        """The rendition of the file with these bytes; raises an `ImgforgeError`, also where it was cancelled."""
        if self.limit and len(body) > self.limit:
            raise SourceTooLarge(f"the source has more than {self.limit} bytes")
        if self._request.delivery.raw:  # unread and unchecked
            return Rendition(body, "", "")
        processing.check_format(body, "")
        try:
            return processing.process(
                body,
                self._request.options,
                self._processing,
                chained=self._request.chained,
                accepted=self._accepted,
                watermarks=self._watermarks,
                cancellation=cancellation,
                pixel_budget=self._pixel_budget,
            )
        finally:
            cancellation.forget()

    def _find_watermarks(self, settings: Settings) -> dict[str, bytes]:
        """The watermarks that the options name, by URL; "" is the operator's own."""
        chain = filter(shows_watermark_image, (self._request.options, *self._request.chained))
        own = operators_image(settings, "watermark")
        found: dict[str, bytes] = {}
        for name in dict.fromkeys(options.watermark_url for options in chain):
            if name or (own is None and settings.watermark_url):
                found[name] = _fetched(settings, name or settings.watermark_url)
            elif own is not None:
                found[name] = own
        return found


def _rules(settings: Settings) -> UrlSettings:
    """The operator's rules for options; those for signatures and sources are for URLs of strangers."""
    rules = url_settings(settings)
    kept = (
        *("arguments_separator", "presets", "only_presets", "allow_security_options"),
        *("allowed_processing_options", "max_chained_pipelines", "watermark_preprocess_url"),
    )
    return UrlSettings(allow_unsigned=True, **{name: getattr(rules, name) for name in kept})


def _target(settings: Settings, options: str, extension: str) -> bytes:
    """The target of a URL with *options*; raises `BadOption` for a part that no URL takes for an option."""
    for part in filter(None, options.split("/")):
        if part != _CHAIN and settings.arguments_separator not in part and not settings.only_presets:
            raise BadOption(
                f"{part!r} is not an option: those of a URL have a name and arguments, as in rs:fill:300:200"
            )
    # A ? begins the query of a URL, and has no meaning here.
    path = "/".join(filter(None, ["", "unsafe", options.strip("/").replace("?", "%3F"), "plain", _SOURCE]))
    return f"/{path}{f'@{extension}' if extension else ''}".encode()


def _fetched(settings: Settings, url: str) -> bytes:
    """The watermark at *url*, under the rules that the server has for sources. Blocks."""

    async def fetch(reactor: Any) -> bytes:
        sources = SourceRegistry(reactor, source_settings(settings))
        try:
            return (await sources.fetch(url, settings.max_src_file_size or None, {})).body
        finally:
            await sources.close()

    try:
        return run_in_own_reactor(fetch, settings.timeout)
    except ImgforgeError:
        raise
    except TookTooLong:
        limit = f"it takes longer than {settings.timeout:g} seconds"
        raise OriginFailed(f"the watermark cannot be fetched: {limit}") from None
    except Exception as error:
        raise OriginFailed(f"the watermark cannot be fetched: {error}") from error
