"""An HTTP source in the test's own reactor, against origins on loopback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from imgforge.errors import ImgforgeError
from imgforge.model import SourceImage
from imgforge.sources import AddressPolicy, SourceRegistry, SourceSettings
from tests.support.scripted_origin import ScriptedOrigin, reactor

__all__ = ["SETTINGS", "HttpCase"]


SETTINGS = SourceSettings(addresses=AddressPolicy(allow_loopback=True), download_timeout=20)


class HttpCase(TestCase):
    """Makes origins and sources that are closed at the end of a test; sources go by the time of `reactor`."""

    reactor: Any = reactor

    def origin(self, answer: Any) -> ScriptedOrigin:
        origin = ScriptedOrigin(answer if callable(answer) else lambda _: answer)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        return origin

    def sources(self, **changes: Any) -> SourceRegistry:
        """A registry; *changes* are fields of its settings."""
        sources = SourceRegistry(self.reactor, replace(SETTINGS, **changes))
        self.addCleanup(sources.close)
        return sources

    async def fetch(self, answer: Any, limit: int | None = None, **changes: Any) -> SourceImage:
        return await self.sources(**changes).fetch(self.origin(answer).url(), limit, {})

    async def assert_fails(
        self, error: type[ImgforgeError], answer: Any, limit: int | None = None, **changes: Any
    ) -> str:
        """The message of the *error* that a fetch fails with."""
        try:
            image = await self.fetch(answer, limit, **changes)
        except error as caught:
            return caught.message
        raise AssertionError(f"{error.__name__} was expected, not {image!r}")
