"""The registry of sources: which source serves a scheme, and that all of them are closed."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import patch

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyObject

from imgforge.demo import SampleFactory
from imgforge.errors import UnknownScheme
from imgforge.interfaces import IServerReactor, ISource, ISourceFactory
from imgforge.model import SourceImage
from imgforge.plugins import Plugins
from imgforge.sources import HttpSource, LocalSource, SourceRegistry, SourceSettings, registry
from tests.support.scripted_origin import reactor


@implementer(ISource)
class RecordingSource:
    """Records its calls; *closed* is the result of `close`."""

    def __init__(self, closed: Deferred[None] | None = None) -> None:
        self.calls: list[str] = []
        self._closed = closed or succeed(None)

    def fetch(self, url: str, limit: object, headers: object, reserve: object = None) -> Deferred[SourceImage]:
        self.calls.append(f"fetch {url}")
        return succeed(SourceImage(b"image"))

    def stream(self, url: str, headers: object, started: object) -> Deferred[None]:
        self.calls.append(f"stream {url}")
        return succeed(None)

    def close(self) -> Deferred[None]:
        self.calls.append("close")
        return self._closed


class SourceOfBefore:
    """A plugin's source from before there was `close`, and with the earlier name of the last argument."""

    def fetch(self, url: str, limit: object, headers: object, room: Any) -> Deferred[SourceImage]:
        return cast("Deferred[SourceImage]", room(5).addCallback(lambda _: SourceImage(b"image")))

    def stream(self, url: str, headers: object, started: Any) -> Deferred[None]:
        return succeed(None)


@implementer(ISourceFactory)
class Factory:
    def __init__(self, source: Any, *schemes: str) -> None:
        self.schemes = schemes
        self._source = source

    def make(self, reactor: object, settings: object) -> Any:
        return self._source


class InterfaceTests(TestCase):
    def test_all_sources_provide_the_interface(self) -> None:
        local = LocalSource(reactor, "/", timeout=1, query_separator="?", media_type_of=lambda _: "")
        self.addCleanup(local.close)
        for source in (
            SourceRegistry(reactor, SourceSettings()),
            HttpSource(reactor, SourceSettings()),
            local,
            SampleFactory().make(cast("IServerReactor", reactor), SourceSettings()),
            RecordingSource(),
        ):
            self.assertTrue(verifyObject(ISource, source))


class RegistryTests(SynchronousTestCase):
    def registry(self, *factories: Factory, plugins: dict[str, Any] | None = None) -> SourceRegistry:
        with patch.object(registry, "find_plugins", lambda _: Plugins(plugins or {}, (), ())):
            return SourceRegistry(reactor, SourceSettings(), cast("Any", factories))

    def test_the_first_factory_serves_a_scheme_and_plugins_come_before_built_in_sources(self) -> None:
        first, second, plugin = RecordingSource(), RecordingSource(), RecordingSource()
        sources = self.registry(
            Factory(first, "zip"), Factory(second, "zip", "tar"), plugins={"https": Factory(plugin, "https")}
        )
        for url in ("zip://a", "tar://a", "https://a"):
            self.successResultOf(sources.fetch(url, None, {}))
        self.assertEqual([source.calls for source in (first, second, plugin)], [[f"fetch {url}"] for url in (
            "zip://a", "tar://a", "https://a")])  # fmt: skip
        self.assertEqual(sources.schemes, ("http", "https", "tar", "zip"))
        self.failureResultOf(sources.fetch("ftp://a", None, {}), UnknownScheme)

    def test_close_closes_each_source_once_and_waits_for_all(self) -> None:
        closed = Deferred[None]()
        slow, unused = RecordingSource(closed), RecordingSource()
        sources = self.registry(Factory(slow, "zip"), Factory(slow, "tar"), Factory(unused, "zip"))
        closing = sources.close()
        self.assertEqual((slow.calls, unused.calls), (["close"], ["close"]))
        self.assertNoResult(closing)
        closed.callback(None)
        self.successResultOf(closing)

    def test_a_source_that_cannot_be_closed_is_logged_and_keeps_no_other_open(self) -> None:
        broken, good = RecordingSource(fail(OSError("stuck"))), RecordingSource()
        sources = self.registry(Factory(broken, "zip"), Factory(good, "tar"))
        self.successResultOf(sources.close())
        self.assertEqual(good.calls, ["close"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_a_plugin_from_before_close_is_served_as_it_was(self) -> None:
        reserved: list[int] = []

        def reserve(size: int) -> Deferred[None]:
            reserved.append(size)
            return succeed(None)

        source = SourceOfBefore()
        directlyProvides(source, ISource)
        sources = self.registry(plugins={"old": Factory(source, "old")})
        image = self.successResultOf(sources.fetch("old://a", None, {}, reserve))
        self.assertEqual((image.body, reserved), (b"image", [5]))
        self.successResultOf(sources.stream("old://a", {}, cast("Any", None)))
        self.successResultOf(sources.close())
