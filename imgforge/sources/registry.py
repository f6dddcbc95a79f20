"""All sources by URL scheme; the built-in ones are made by factories, as those of plugins are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger
from zope.interface import implementer

from imgforge.errors import ImgforgeError, SourceRefused, UnknownScheme
from imgforge.interfaces import IServerReactor, ISource, ISourceFactory, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage, is_data_url
from imgforge.observability import WorkRecord
from imgforge.plugins import PluginError, find_plugins, own_settings
from imgforge.sources import stores
from imgforge.sources.allowed_sources import AllowedSources
from imgforge.sources.data_urls import DataSource
from imgforge.sources.http import HttpSource
from imgforge.sources.local import LocalSource
from imgforge.sources.plugins import SOURCE_PLUGINS, make_source
from imgforge.sources.settings import SourceSettings

__all__ = ["BUILT_IN", "SWITCHES", "SourceRegistry", "scheme_of", "unknown_scheme"]


@implementer(ISourceFactory)
class _HttpFactory:
    schemes = ("http", "https")

    def make(self, reactor: IServerReactor, settings: Any) -> HttpSource:
        return HttpSource(reactor, settings)


@implementer(ISourceFactory)
class _LocalFactory:
    schemes = ("local",)

    def make(self, reactor: IServerReactor, settings: Any) -> LocalSource | None:
        root = settings.local_filesystem_root
        if not root:
            return None
        return LocalSource(
            reactor,
            root,
            timeout=settings.download_timeout,
            query_separator=settings.query_separator,
            media_type_of=settings.media_type_of,
        )


@implementer(ISourceFactory)
class _DataFactory:
    schemes = ("data",)

    def make(self, reactor: IServerReactor, settings: Any) -> DataSource | None:  # noqa: ARG002
        return DataSource(settings.media_type_of) if settings.data_urls else None


@implementer(ISourceFactory)
class _StoreFactory:
    """That of a store, which is imported if *chosen* finds settings of it."""

    def __init__(
        self, scheme: str, chosen: Callable[[SourceSettings], object], factory: Callable[[], ISourceFactory]
    ) -> None:
        self.schemes = (scheme,)
        self._chosen = chosen
        self._factory = factory

    def make(self, reactor: IServerReactor, settings: Any) -> Any:
        return self._factory().make(reactor, settings) if self._chosen(settings) is not None else None


_NO_TRY = ", and no directory is named by --try"
# The setting that switches a built-in scheme on.
SWITCHES = {
    "data": "IMGFORGE_ALLOW_DATA_SOURCES",
    "local": "IMGFORGE_LOCAL_FILESYSTEM_ROOT",
    "s3": "IMGFORGE_USE_S3",
    "gs": "IMGFORGE_USE_GCS",
    "abs": "IMGFORGE_USE_ABS",
    "swift": "IMGFORGE_USE_SWIFT",
}

BUILT_IN: tuple[ISourceFactory, ...] = (
    _HttpFactory(),
    _LocalFactory(),
    _DataFactory(),
    _StoreFactory("s3", lambda settings: settings.s3, lambda: stores.S3Factory()),
    _StoreFactory("gs", lambda settings: settings.gcs, lambda: stores.GcsFactory()),
    _StoreFactory("abs", lambda settings: settings.azure, lambda: stores.AzureFactory()),
    _StoreFactory("swift", lambda settings: settings.swift, lambda: stores.SwiftFactory()),
)


@implementer(ISource)
class SourceRegistry:
    """An `ISource` for all schemes: of *factories*, of plugins and built in; the first in this order serves a scheme.

    `PluginError` where a plugin cannot be used.
    """

    log = Logger()

    def __init__(
        self, reactor: IServerReactor, settings: SourceSettings, factories: Iterable[ISourceFactory] = ()
    ) -> None:
        self._allowed = AllowedSources(settings.allowed_sources)
        self._sources: list[ISource] = []
        self._by_scheme: dict[str, ISource] = {}
        plugins = find_plugins(SOURCE_PLUGINS)
        if plugins.mistakes:
            raise PluginError(plugins.mistakes[0])

        def settings_of(factory: ISourceFactory) -> SourceSettings:
            return replace(settings, plugins={}, plugin=own_settings(factory, settings.plugins))

        for factory in factories:
            self._register(factory, factory.make(reactor, settings_of(factory)))
        for name, factory in plugins.factories.items():
            self._register(factory, make_source(name, factory, reactor, settings_of(factory)))
        for factory in BUILT_IN:
            self._register(factory, factory.make(reactor, settings_of(factory)))

    def _register(self, factory: ISourceFactory, source: Any) -> None:
        if source is None:
            return
        if not any(source is known for known in self._sources):
            self._sources.append(source)
        for scheme in factory.schemes:
            self._by_scheme.setdefault(scheme, source)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that are served, in alphabetical order."""
        return tuple(sorted(self._by_scheme))

    def gives_parts(self, url: str) -> bool:
        """Whether `fetch` takes a range from the beginning of *url* on, and may then give that part only."""
        source = self._by_scheme.get(scheme_of(url))
        return isinstance(source, HttpSource)

    def fetch(
        self,
        url: str,
        limit: int | None,
        headers: Mapping[str, str],
        reserve: Reserve = unlimited_reserve,
        work: WorkRecord | None = None,
    ) -> Deferred[SourceImage]:
        """See `ISource`; *work* gets the requests to the origin as steps, where the source is our own HTTP."""
        try:
            source = self._source(url)
        except ImgforgeError as error:
            return fail(error)
        if work is not None and isinstance(source, HttpSource):
            return source.fetch(url, limit, headers, reserve, work)
        return source.fetch(url, limit, headers, reserve)

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`."""
        try:
            source = self._source(url)
        except ImgforgeError as error:
            return fail(error)
        return source.stream(url, headers, started)

    def close(self) -> Deferred[None]:
        """Close all sources; a failure of one is logged and keeps none of the others open."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        closing = [(source, maybeDeferred(source.close)) for source in self._sources]
        for source, closed in closing:
            try:
                await closed
            except Exception:
                name = type(source).__name__
                self.log.failure("cannot close {source}: its connections and files end with the process", source=name)

    def _source(self, url: str) -> ISource:
        source = self._by_scheme.get(scheme_of(url))
        if source is None:
            raise unknown_scheme(url, self._by_scheme)
        if not self._allowed.allow(url):
            raise SourceRefused("the source is not among those that this server allows")
        return source


def unknown_scheme(url: str, known: Iterable[str]) -> UnknownScheme:
    """The error for *url*, whose scheme is none of the *known* ones."""
    scheme = scheme_of(url)
    served = ", ".join("data:" if name == "data" else f"{name}://" for name in sorted(known))
    why = (
        f"{SWITCHES[scheme]} is not set{_NO_TRY if scheme == 'local' else ''}"
        if scheme in SWITCHES
        else f"this server knows {served}"
    )
    return UnknownScheme(f"no source for {scheme[:40]!r}: {why}")


def scheme_of(url: str) -> str:
    """The scheme of a source's URL, in lower case."""
    return "data" if is_data_url(url) else url.partition("://")[0].lower()
