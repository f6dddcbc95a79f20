"""The settings of plugins: the values that a factory gets, and the settings that no plugin has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imgforge.interfaces import IConfiguredFactory

__all__ = ["own_settings", "unknown_plugin_settings"]


def own_settings(factory: Any, given: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The settings for *factory*: its defaults, overridden by those that are *given* for the plugin of its name."""
    if not IConfiguredFactory.providedBy(factory):
        return {}
    overrides = given.get(factory.name, {})
    return {name: overrides.get(name, default) for name, default in factory.settings.items()}


def unknown_plugin_settings(factories: Iterable[Any], given: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A line for each of the *given* settings that none of *factories* has."""
    known = {factory.name: factory.settings for factory in factories if IConfiguredFactory.providedBy(factory)}
    for plugin, values in given.items():
        if plugin not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "no plugin has settings"
            yield f"IMGFORGE_PLUGIN_{plugin.upper()}_*: there is no plugin {plugin!r}: {there}"
            continue
        for name in values:
            if name not in known[plugin]:
                import difflib  # for a mistake only

                near = difflib.get_close_matches(name, list(known[plugin]), 1)
                hint = f"; did you mean IMGFORGE_PLUGIN_{plugin.upper()}_{near[0].upper()}?" if near else ""
                yield f"IMGFORGE_PLUGIN_{plugin.upper()}_{name.upper()} is no setting of the plugin {plugin!r}{hint}"
