"""The settings of plugins' own: which a factory has, what it is handed, and what of the given ones no plugin has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imgforge.interfaces import IConfiguredSourceFactory

__all__ = ["own_settings", "unknown_plugin_settings"]


def own_settings(factory: Any, given: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What *factory* is handed: its defaults, and in their place what is *given* to the plugin of its name."""
    if not IConfiguredSourceFactory.providedBy(factory):
        return {}
    mine = given.get(factory.name, {})
    return {name: mine.get(name, default) for name, default in factory.settings.items()}


def unknown_plugin_settings(factories: Iterable[Any], given: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A line for each of the *given* settings that none of *factories* says it has."""
    known = {one.name: one.settings for one in factories if IConfiguredSourceFactory.providedBy(one)}
    for plugin, values in given.items():
        if plugin not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "no plugin has settings"
            yield f"IMGFORGE_PLUGIN_{plugin.upper()}_*: there is no plugin {plugin!r}: {there}"
            continue
        for name in values:
            if name not in known[plugin]:
                near = difflib.get_close_matches(name, list(known[plugin]), 1)
                hint = f"; did you mean IMGFORGE_PLUGIN_{plugin.upper()}_{near[0].upper()}?" if near else ""
                yield f"IMGFORGE_PLUGIN_{plugin.upper()}_{name.upper()} is no setting of the plugin {plugin!r}{hint}"
