"""All sources: the one for a URL is found by its scheme; built-in ones come through the same door as plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from imgforge.errors import ImgforgeError, SourceRefused, UnknownScheme
from imgforge.interfaces import ISource, ISourceFactory, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage
from imgforge.sources.http.http_source import HttpSource
from imgforge.sources.local import LocalSource
from imgforge.sources.plugin_settings import own_settings
from imgforge.sources.plugins import PluginError, find_plugins, made_by
from imgforge.sources.settings import AllowedSources, SourceSettings

__all__ = ["BUILT_IN", "Sources"]


@implementer(ISourceFactory)
class _HttpFactory:
    schemes = ("http", "https")

    def make(self, reactor: Any, settings: Any) -> HttpSource:
        return HttpSource(reactor, settings)


@implementer(ISourceFactory)
class _LocalFactory:
    schemes = ("local",)

    def make(self, reactor: Any, settings: Any) -> LocalSource | None:
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


# What switches a built-in scheme on.
_SWITCHES = {"local": "IMGFORGE_LOCAL_FILESYSTEM_ROOT"}

BUILT_IN: tuple[ISourceFactory, ...] = (_HttpFactory(), _LocalFactory())


@implementer(ISource)
class Sources:
    """An `ISource` for all schemes: those of *factories*, of plugins and the built-in ones; the first to offer wins."""

    def __init__(self, reactor: Any, settings: SourceSettings, factories: Iterable[ISourceFactory] = ()) -> None:
        self._allowed = AllowedSources(settings.allowed_sources)
        self._sources: dict[str, Any] = {}
        plugins = find_plugins()
        if plugins.mistakes:
            raise PluginError(plugins.mistakes[0])

        def own(factory: ISourceFactory) -> SourceSettings:
            return replace(settings, plugins={}, plugin=own_settings(factory, settings.plugins))

        made = [(one, one.make(reactor, own(one))) for one in factories]
        made += [(one, made_by(name, one, reactor, own(one))) for name, one in plugins.factories.items()]
        made += [(one, one.make(reactor, own(one))) for one in BUILT_IN]
        for factory, source in made:
            if source is not None:
                for scheme in factory.schemes:
                    self._sources.setdefault(scheme, source)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that are served, in alphabetical order."""
        return tuple(sorted(self._sources))

    def fetch(
        self, url: str, limit: int | None, headers: Mapping[str, str], room: Reserve = unlimited_reserve
    ) -> Deferred[SourceImage]:
        """See `ISource`."""
        try:
            source = self._source(url)
        except ImgforgeError as error:
            return fail(error)
        return source.fetch(url, limit, headers, room)

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`."""
        try:
            source = self._source(url)
        except ImgforgeError as error:
            return fail(error)
        return source.stream(url, headers, started)

    async def close(self) -> None:
        """Close what the sources keep open."""
        for source in set(self._sources.values()):
            if isinstance(source, (HttpSource, LocalSource)):
                await source.close()

    def _source(self, url: str) -> ISource:
        scheme = url.partition("://")[0].lower()
        source: ISource | None = self._sources.get(scheme)
        if source is None:
            known = ", ".join(f"{name}://" for name in self.schemes)
            why = f"{_SWITCHES[scheme]} is not set" if scheme in _SWITCHES else f"this server knows {known}"
            raise UnknownScheme(f"no source for {scheme[:40]!r}: {why}")
        if not self._allowed.allow(url):
            raise SourceRefused("the source is not among those that this server allows")
        return source
