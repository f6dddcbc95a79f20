"""`sample://name`: the sample images of the demo page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from imgforge.demo.samples import SAMPLES, draw_sample
from imgforge.errors import SourceNotFound
from imgforge.interfaces import IServerReactor, ISource, ISourceFactory, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage

__all__ = ["SampleFactory"]


@implementer(ISource)
class SampleSource:
    """Draws the sample images on a thread, when one is first fetched."""

    def __init__(self, reactor: IServerReactor) -> None:
        self._reactor = reactor

    def fetch(
        self,
        url: str,
        limit: int | None,  # noqa: ARG002
        headers: Mapping[str, str],  # noqa: ARG002
        reserve: Reserve = unlimited_reserve,  # noqa: ARG002
    ) -> Deferred[SourceImage]:
        """See `ISource`; the samples are small."""
        return ensureDeferred(self._fetch(url))

    async def _fetch(self, url: str) -> SourceImage:
        name = url.partition("://")[2].strip("/")
        if name not in SAMPLES:
            raise SourceNotFound(f"no such sample: there are {', '.join(SAMPLES)}")
        return SourceImage(await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), draw_sample, name))

    def stream(
        self,
        url: str,
        headers: Mapping[str, str],  # noqa: ARG002
        started: Callable[[SourceHead], IConsumer],
    ) -> Deferred[None]:
        """See `ISource`."""
        return ensureDeferred(self._stream(url, started))

    async def _stream(self, url: str, started: Callable[[SourceHead], IConsumer]) -> None:
        body = (await self._fetch(url)).body
        started(SourceHead(200, {}, len(body))).write(body)

    def close(self) -> Deferred[None]:
        """See `ISource`; it keeps nothing open."""
        return succeed(None)


@implementer(ISourceFactory)
class SampleFactory:
    """Makes the source for `sample://`, in a server with the demo page."""

    schemes = ("sample",)

    def make(self, reactor: IServerReactor, settings: Any) -> SampleSource:  # noqa: ARG002
        """See `ISourceFactory`; it cannot be switched off."""
        return SampleSource(reactor)
