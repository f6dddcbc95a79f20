"""Fetches the original of a URL as the server would: by its sources, its address rules and its limits."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imgforge.config import Settings
from imgforge.model import SourceImage
from imgforge.service.explanation.reading import read_request
from imgforge.service.translation import source_settings
from imgforge.sources import SourceRegistry

__all__ = ["fetched_original"]

_LARGEST = 1 << 30  # bytes, where the operator sets no limit


def fetched_original(settings: Settings, path: str) -> bytes:
    """The original that the URL or *path* names; runs a reactor of its own meanwhile.

    Raises the error that the server would answer with.
    """
    from twisted.internet.selectreactor import SelectReactor

    request = read_request(settings, path).request()
    reactor: Any = SelectReactor()  # one of its own, which can run although another one has
    outcome: list[SourceImage | Failure] = []

    async def fetch() -> SourceImage:
        sources = SourceRegistry(reactor, source_settings(settings))
        try:
            return await sources.fetch(request.source, settings.max_src_file_size or _LARGEST, {})
        finally:
            await sources.close()

    def end(result: SourceImage | Failure) -> None:
        outcome.append(result)
        reactor.stop()

    def begin() -> None:
        fetching: Deferred[SourceImage] = Deferred.fromCoroutine(fetch())
        fetching.addTimeout(settings.timeout, reactor).addBoth(end)

    reactor.callWhenRunning(begin)
    reactor.run()
    if not outcome:
        raise KeyboardInterrupt
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return outcome[0].body
