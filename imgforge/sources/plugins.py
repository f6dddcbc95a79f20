"""Source factories of plugins, from modules below `twisted/plugins` on Python's path.

`twisted.plugin.getPlugins` logs a traceback and goes on without a module that cannot be imported; a server would start
that refuses the very sources it was set up for. Here a broken module is an error if its text names imgforge. A broken
plugin of another product is no concern of ours: it is a warning.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.plugin import IPlugin
from zope.interface import Invalid, implementer
from zope.interface.verify import verifyObject

from imgforge.interfaces import IServerReactor, ISource, ISourceFactory, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage
from imgforge.plugin_modules import plugin_modules
from imgforge.sources.settings import SourceSettings

__all__ = ["PluginError", "Plugins", "find_plugins", "make_source"]

# RFC 3986, section 3.1, in lower case, as all URLs are looked up.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")


class PluginError(Exception):
    """A plugin that cannot be used; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins on Python's path, and what is wrong with them."""

    factories: dict[str, Any]  # by full names, such as twisted.plugins.imgforge_zip.factory
    mistakes: tuple[str, ...]  # lines, each of which ends the start
    warnings: tuple[str, ...]  # lines


def find_plugins() -> Plugins:
    """Import the modules below `twisted/plugins` that others brought, and check the source factories in them."""
    factories: dict[str, Any] = {}
    mistakes: list[str] = []
    warnings: list[str] = []
    for name in plugin_modules():
        try:
            found = vars(importlib.import_module(name))
        except (Exception, SystemExit) as error:
            line = f"the plugin {name} cannot be imported: {_in_a_line(error)}"
            (mistakes if _names_imgforge(name) else warnings).append(line)
        else:
            factories |= {f"{name}.{key}": value for key, value in found.items() if _is_factory(value)}
    mistakes += [f"the plugin {name}: {fault}" for name, factory in factories.items() for fault in _faults(factory)]
    if not mistakes:
        warnings += _shared_schemes(factories)
    return Plugins(factories, tuple(mistakes), tuple(warnings))


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
        raise PluginError(f"the plugin {name} cannot make its source: {_in_a_line(error)}") from error
    if source is None:
        return None
    if not ISource.providedBy(source):
        raise PluginError(f"the plugin {name} makes a {type(source).__name__}, which provides no ISource")
    has_close = callable(getattr(source, "close", None))
    closable: ISource = source if has_close else _SourceWithoutClose(source)
    return closable


def _in_a_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _is_factory(value: Any) -> bool:
    return IPlugin.providedBy(value) and ISourceFactory.providedBy(value)


def _names_imgforge(name: str) -> bool:
    """Whether the Python text of the module *name* contains "imgforge"; True where it has no readable text."""
    spec = find_spec(name)
    try:
        text = spec.loader.get_source(name) if spec is not None else None  # type: ignore[union-attr]
    except (AttributeError, ImportError, SyntaxError, UnicodeDecodeError):
        return True
    return text is None or "imgforge" in text


def _faults(factory: Any) -> Iterator[str]:
    try:
        verifyObject(ISourceFactory, factory)
    except Invalid as error:
        yield f"it is no ISourceFactory: {_in_a_line(error)}"
        return
    schemes = factory.schemes
    if not isinstance(schemes, (tuple, list, set, frozenset)):
        yield f"schemes must be a tuple of names, as in ('zip',): it is {schemes!r}"
    elif not schemes:
        yield "schemes is empty: it serves nothing"
    else:
        for scheme in schemes:
            if not isinstance(scheme, str) or _SCHEME.match(scheme) is None:
                yield f"{scheme!r} is no URL scheme in lower case and without ://"


def _shared_schemes(factories: dict[str, Any]) -> Iterator[str]:
    """A line for each scheme of several plugins: the first to make a source serves it, the others are not used."""
    names: dict[str, list[str]] = {}
    for name, factory in factories.items():
        for scheme in factory.schemes:
            names.setdefault(scheme, []).append(name)
    for scheme, several in names.items():
        if len(several) > 1:
            yield f"{scheme}:// is served by the first of several plugins: {', '.join(several)}"
