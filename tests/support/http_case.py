"""An HTTP source in the test's own reactor, against origins on loopback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from imgforge.errors import (
    ImgforgeError,
)
from imgforge.model import SourceImage
from imgforge.sources import AddressPolicy, SourceRegistry, SourceSettings
from tests.support.scripted_origin import Origin, reactor

__all__ = ["HERE", "HttpCase"]


HERE = SourceSettings(addresses=AddressPolicy(allow_loopback=True), download_timeout=20)


class HttpCase(TestCase):
    """Origins and sources that are gone at the end of a test."""

    def origin(self, answer: Any) -> Origin:
        made = Origin(answer if callable(answer) else lambda _: answer)
        self.addCleanup(lambda: Deferred.fromCoroutine(made.close()))
        return made

    def sources(self, **changes: Any) -> SourceRegistry:
        made = SourceRegistry(reactor, replace(HERE, **changes))
        self.addCleanup(made.close)
        return made

    async def fetch(self, answer: Any, limit: int | None = None, **changes: Any) -> SourceImage:
        return await self.sources(**changes).fetch(self.origin(answer).url(), limit, {})

    async def assert_fails(
        self, error: type[ImgforgeError], answer: Any, limit: int | None = None, **changes: Any
    ) -> str:
        try:
            got = await self.fetch(answer, limit, **changes)
        except error as caught:
            return caught.message
        raise AssertionError(f"{error.__name__} was expected, not {got!r}")
