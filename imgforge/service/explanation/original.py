"""Fetches the original of a URL as the server would for a client: by its sources, address rules, headers and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from imgforge.concurrency import run_in_own_reactor
from imgforge.config import Settings
from imgforge.errors import ImgforgeError
from imgforge.model import ImageRequest, SourceImage
from imgforge.service.explanation.client import client_request, headers_for_origin
from imgforge.service.explanation.reading import read_request
from imgforge.service.translation import source_settings
from imgforge.sources import SourceRegistry

__all__ = ["FetchedOriginal", "fetched_original"]

_LARGEST = 1 << 30  # bytes, where the operator sets no limit


class FetchedOriginal(NamedTuple):
    """An original, and the names of the client's headers that its origin got; or the error that came instead of it."""

    body: bytes
    passed: tuple[str, ...]
    error: ImgforgeError | None = None


def fetched_original(settings: Settings, path: str, headers: Mapping[str, str]) -> FetchedOriginal:
    """The original that the URL or *path* names, for a client with *headers*; runs a reactor of its own meanwhile.

    The error that the server would answer with is part of the result.
    """
    try:
        request = read_request(settings, path).request()
    except ImgforgeError as error:
        return FetchedOriginal(b"", (), error)
    passed = headers_for_origin(settings, client_request(path, headers), request.source)
    limit = request.options.max_src_file_size if isinstance(request, ImageRequest) else None
    if limit is None:
        limit = settings.max_src_file_size

    async def fetch(reactor: Any) -> SourceImage:
        sources = SourceRegistry(reactor, source_settings(settings))
        try:
            return await sources.fetch(request.source, limit or _LARGEST, passed)
        finally:
            await sources.close()

    names = tuple(sorted(passed))
    try:
        return FetchedOriginal(run_in_own_reactor(fetch, settings.timeout).body, names)
    except ImgforgeError as error:
        return FetchedOriginal(b"", names, error)
