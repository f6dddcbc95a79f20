"""Factories of plugins, from modules below `twisted/plugins` on Python's path.

`twisted.plugin.getPlugins` logs a traceback and goes on without a module that cannot be imported; a server would start
that refuses the very sources it was set up for. Here a broken module is an error if its text names imgforge. A broken
plugin of another product is no concern of ours: it is a warning.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import Invalid
from zope.interface.verify import verifyObject

from imgforge.plugins.modules import plugin_modules

__all__ = ["PluginError", "PluginKind", "Plugins", "find_plugins", "in_a_line"]


class PluginError(Exception):
    """A plugin that cannot be used; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class PluginKind:
    """What plugins may bring: factories that provide `interface`.

    `faults` yields what is wrong with a factory; `warnings` yields lines about all factories, by their full names.
    """

    interface: Any
    faults: Callable[[Any], Iterable[str]]
    warnings: Callable[[Mapping[str, Any]], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins on Python's path, and what is wrong with them."""

    factories: dict[str, Any]  # by full names, such as twisted.plugins.imgforge_zip.factory
    mistakes: tuple[str, ...]  # lines, each of which ends the start
    warnings: tuple[str, ...]  # lines


def find_plugins(*kinds: PluginKind) -> Plugins:
    """Import the modules below `twisted/plugins` that others brought, and check the factories of *kinds* in them."""
    factories: dict[str, Any] = {}
    mistakes: list[str] = []
    warnings: list[str] = []
    for name in plugin_modules():
        try:
            found = vars(importlib.import_module(name))
        except (Exception, SystemExit) as error:
            line = f"the plugin {name} cannot be imported: {in_a_line(error)}"
            (mistakes if _names_imgforge(name) else warnings).append(line)
        else:
            factories |= {f"{name}.{key}": value for key, value in found.items() if IPlugin.providedBy(value)}
    of_kinds: dict[str, Any] = {}
    for kind in kinds:
        of_kind = {name: factory for name, factory in factories.items() if kind.interface.providedBy(factory)}
        mistakes += [f"the plugin {name}: {fault}" for name, one in of_kind.items() for fault in _faults(kind, one)]
        if not mistakes:
            warnings += kind.warnings(of_kind)
        of_kinds |= of_kind
    return Plugins(of_kinds, tuple(mistakes), tuple(warnings))


def in_a_line(error: BaseException) -> str:
    """The type and the text of *error*, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _faults(kind: PluginKind, factory: Any) -> Iterator[str]:
    try:
        verifyObject(kind.interface, factory)
    except Invalid as error:
        yield f"it is no {kind.interface.__name__}: {in_a_line(error)}"
    else:
        yield from kind.faults(factory)


def _names_imgforge(name: str) -> bool:
    """Whether the Python text of the module *name* contains "imgforge"; True where it has no readable text."""
    spec = find_spec(name)
    try:
        text = spec.loader.get_source(name) if spec is not None else None  # type: ignore[union-attr]
    except (AttributeError, ImportError, SyntaxError, UnicodeDecodeError):
        return True
    return text is None or "imgforge" in text
