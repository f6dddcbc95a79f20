"""Sources of plugins: what is wrong with their factories, and how they are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from imgforge.interfaces import IServerReactor, ISource, ISourceFactory, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage
from imgforge.plugins import PluginError, PluginKind, in_a_line
from imgforge.sources.settings import SourceSettings

__all__ = ["SOURCE_PLUGINS", "make_source"]

# RFC 3986, section 3.1, in lower case, as all URLs are looked up.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")


@implementer(ISource)
class _SourceWithoutClose:
    """The source of a plugin that was written before `ISource.close`: there is nothing to close."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def fetch(
        self, url: str, limit: int | None, headers: Mapping[str, str], reserve: Reserve = unlimited_reserve
    ) -> Deferred[SourceImage]:
        image: Deferred[SourceImage] = self._source.fetch(url, limit, headers, reserve)
        return image

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        sent: Deferred[None] = self._source.stream(url, headers, started)
        return sent

    def close(self) -> Deferred[None]:
        return succeed(None)


def make_source(name: str, factory: Any, reactor: IServerReactor, settings: SourceSettings) -> ISource | None:
    """Have the plugin's *factory*, called *name*, make its source; None where it is switched off.

    `PluginError` where it fails or makes something else. For a source without `close`, which was
    written before there was one, the returned source has a `close` that does nothing.
    """
    try:
        source = factory.make(reactor, settings)
    except Exception as error:
        raise PluginError(f"the plugin {name} cannot make its source: {in_a_line(error)}") from error
    if source is None:
        return None
    if not ISource.providedBy(source):
        raise PluginError(f"the plugin {name} makes a {type(source).__name__}, which provides no ISource")
    has_close = callable(getattr(source, "close", None))
    closable: ISource = source if has_close else _SourceWithoutClose(source)
    return closable


def _faults(factory: Any) -> Iterator[str]:
    schemes = factory.schemes
    if not isinstance(schemes, (tuple, list, set, frozenset)):
        yield f"schemes must be a tuple of names, as in ('zip',): it is {schemes!r}"
    elif not schemes:
        yield "schemes is empty: it serves nothing"
    else:
        for scheme in schemes:
            if not isinstance(scheme, str) or _SCHEME.match(scheme) is None:
                yield f"{scheme!r} is no URL scheme in lower case and without ://"


def _shared_schemes(factories: Mapping[str, Any]) -> Iterator[str]:
    """A line for each scheme of several plugins: the first to make a source serves it, the others are not used."""
    names: dict[str, list[str]] = {}
    for name, factory in factories.items():
        for scheme in factory.schemes:
            names.setdefault(scheme, []).append(name)
    for scheme, several in names.items():
        if len(several) > 1:
            yield f"{scheme}:// is served by the first of several plugins: {', '.join(several)}"


SOURCE_PLUGINS = PluginKind(ISourceFactory, _faults, _shared_schemes)
