"""A source whose originals are in a dict, and a consumer that collects what any source sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.protocols.basic import FileSender
from zope.interface import implementer

from imgforge.errors import SourceNotFound, SourceTooLarge
from imgforge.interfaces import ISource, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage, head_of_part

__all__ = ["MemoryConsumer", "MemorySource"]


@implementer(ISource)
class MemorySource:
    """Serves *originals*, by their whole URLs; others fail with `SourceNotFound`.

    `originals` may be changed at any time. `requests` are the URLs and headers of all calls so far, `closed` says
    whether `close` was called.
    """

    def __init__(self, originals: Mapping[str, bytes | SourceImage] | None = None) -> None:
        self.originals: dict[str, bytes | SourceImage] = dict(originals or {})
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.closed = False

    def fetch(
        self, url: str, limit: int | None, headers: Mapping[str, str], reserve: Reserve = unlimited_reserve
    ) -> Deferred[SourceImage]:
        """See `ISource`; of validators it knows `if-none-match`."""
        return ensureDeferred(self._fetch(url, limit, headers, reserve))

    async def _fetch(self, url: str, limit: int | None, headers: Mapping[str, str], reserve: Reserve) -> SourceImage:
        image = self._image(url, headers)
        if image.etag and headers.get("if-none-match") == image.etag:
            return SourceImage(b"", image.content_type, image.etag, not_modified=True)
        if limit is not None and len(image.body) > limit:
            raise SourceTooLarge(f"the source has {len(image.body)} bytes, more than {limit}")
        await reserve(len(image.body))
        return image

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; sends the whole original, or a single byte range."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        image = self._image(url, headers)
        own = {"content-type": image.content_type, "etag": image.etag, "last-modified": image.last_modified}
        own = {name: value for name, value in own.items() if value} | {"accept-ranges": "bytes"}
        head, part = head_of_part(headers.get("range", ""), len(image.body), own)
        consumer = started(head)
        if head.status != 416:
            await FileSender().beginFileTransfer(BytesIO(image.body[part]), consumer)

    def close(self) -> Deferred[None]:
        """See `ISource`."""
        self.closed = True
        return succeed(None)

    def _image(self, url: str, headers: Mapping[str, str]) -> SourceImage:
        self.requests.append((url, dict(headers)))
        original = self.originals.get(url)
        if original is None:
            raise SourceNotFound("no such original")
        return original if isinstance(original, SourceImage) else SourceImage(original)


@implementer(IConsumer)
class MemoryConsumer:
    """Collects a stream: `started` is the argument for `ISource.stream`, `head` and `body` are what came.

    `producer` is None before the stream and once all has been written."""

    def __init__(self) -> None:
        self.head: SourceHead | None = None
        self._chunks: list[bytes] = []
        self.producer: Any = None

    @property
    def body(self) -> bytes:
        """The bytes so far."""
        return b"".join(self._chunks)

    def started(self, head: SourceHead) -> IConsumer:
        """Keep *head*; the rest comes to this consumer."""
        self.head = head
        return self

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See `IConsumer`; a producer that wants to be asked is asked until it is done."""
        self.producer = producer
        while not streaming and self.producer is not None:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """See `IConsumer`."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """See `IConsumer`."""
        self._chunks.append(data)
