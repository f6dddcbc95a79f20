"""Source factories of others, from modules below `twisted/plugins` on Python's path.

`twisted.plugin.getPlugins` logs a traceback and goes on without a module that cannot be imported; a server would start
that refuses the very sources it was set up for. Here a broken module is an error if it names imgforge. Plugins of other
products may be broken as they like, for they are none of ours: a warning tells of them.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import Invalid
from zope.interface.verify import verifyObject

import twisted.plugins
from imgforge.interfaces import ISource, ISourceFactory

__all__ = ["PluginError", "Plugins", "find_plugins", "made_by"]

# RFC 3986, section 3.1, in lower case, as all URLs are looked up.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")


class PluginError(Exception):
    """A plugin that cannot be used: one line that names it."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """The factories that were found, by the names of their modules and in them; what is wrong, in lines."""

    factories: dict[str, Any]
    mistakes: tuple[str, ...]
    warnings: tuple[str, ...]


def find_plugins() -> Plugins:
    """Import all modules below `twisted/plugins`, and judge the source factories among their names."""
    factories: dict[str, Any] = {}
    mistakes: list[str] = []
    warnings: list[str] = []
    for module in sorted(module.name for module in pkgutil.iter_modules(twisted.plugins.__path__)):
        name = f"{twisted.plugins.__name__}.{module}"
        try:
            found = vars(importlib.import_module(name))
        except (Exception, SystemExit) as error:
            line = f"the plugin {name} cannot be imported: {_in_a_line(error)}"
            (mistakes if _names_us(name) else warnings).append(line)
        else:
            factories |= {f"{name}.{key}": value for key, value in found.items() if _is_factory(value)}
    mistakes += [f"the plugin {name}: {fault}" for name, factory in factories.items() for fault in _faults(factory)]
    if not mistakes:
        warnings += _shared_schemes(factories)
    return Plugins(factories, tuple(mistakes), tuple(warnings))


def made_by(name: str, factory: Any, reactor: Any, settings: Any) -> Any:
    """The source that *factory*, called *name*, makes, or None; `PluginError` where it cannot."""
    try:
        source = factory.make(reactor, settings)
    except Exception as error:
        raise PluginError(f"the plugin {name} cannot make its source: {_in_a_line(error)}") from error
    if source is not None and not ISource.providedBy(source):
        raise PluginError(f"the plugin {name} makes a {type(source).__name__}, which provides no ISource")
    return source


def _in_a_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _is_factory(value: Any) -> bool:
    return IPlugin.providedBy(value) and ISourceFactory.providedBy(value)


def _names_us(name: str) -> bool:
    """Whether the source text of module *name* has to do with imgforge; of one without a text it is assumed."""
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
    """Two plugins for one scheme: the first to make a source serves it, so that the other may be in vain."""
    names: dict[str, list[str]] = {}
    for name, factory in factories.items():
        for scheme in factory.schemes:
            names.setdefault(scheme, []).append(name)
    for scheme, several in names.items():
        if len(several) > 1:
            yield f"{scheme}:// is served by the first of several plugins: {', '.join(several)}"
