"""A store's source in the test's own reactor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgforge.model import SourceHead, SourceImage
from imgforge.sources import AddressPolicy, SourceRegistry
from tests.support.http_case import HttpCase

__all__ = ["Collector", "StoreCase"]

_NO_LOOPBACK = AddressPolicy(allow_private=False)  # binds URLs, and not the endpoints of stores


class Collector:
    """A consumer that keeps head and body."""

    def __init__(self) -> None:
        self.head: SourceHead | None = None
        self.body = b""

    def started(self, head: SourceHead) -> Any:
        self.head = head
        return self

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.body += data


class StoreCase(HttpCase):
    """Fetches from the store of `store_settings`, fields of `SourceSettings`."""

    def store_settings(self) -> dict[str, Any]:
        raise NotImplementedError

    def sources(self, **changes: Any) -> SourceRegistry:
        return super().sources(**{"addresses": _NO_LOOPBACK} | self.store_settings() | changes)

    async def get(self, url: str, headers: Mapping[str, str] | None = None, **changes: Any) -> SourceImage:
        image: SourceImage = await self.sources(**changes).fetch(url, None, headers or {})
        return image

    async def stream(self, url: str, headers: Mapping[str, str] | None = None, **changes: Any) -> Collector:
        collector = Collector()
        await self.sources(**changes).stream(url, headers or {}, collector.started)
        return collector
