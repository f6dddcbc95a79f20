"""Which tier a fleet shares: those that are built in, and those of plugins, by the value of IMGFORGE_CACHE_USE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from imgforge.cache.faults import FaultObserver
from imgforge.cache.guarded import GuardedTier
from imgforge.cache.inventory import Inventory
from imgforge.cache.shared_settings import SharedTierSettings
from imgforge.interfaces import ICacheTier, ICacheTierFactory, IServerReactor
from imgforge.plugins import PluginError, PluginKind, find_plugins, in_a_line, own_settings

__all__ = [
    "BUILT_IN",
    "TIER_PLUGINS",
    "make_shared_tier",
    "shared_inventory",
    "shared_tier_factory",
    "shared_tier_mistakes",
    "unknown_shared_tier",
]

# Modules and the factories in them: what they need is imported where they are used only.
BUILT_IN = {
    "redis": ("imgforge.cache.redis", "RedisTierFactory"),
    "s3": ("imgforge.cache.bucket", "BucketTierFactory"),
    "gcs": ("imgforge.cache.bucket", "BucketTierFactory"),
    "abs": ("imgforge.cache.bucket", "BucketTierFactory"),
    "swift": ("imgforge.cache.bucket", "BucketTierFactory"),
}

# Names of tiers that a node has for itself.
_OWN = frozenset({"memory", "disk", "fs", "filesystem", "hybrid", "none", "off", "false"})
_NAME = re.compile(r"[a-z0-9]+\Z")


def make_shared_tier(reactor: IServerReactor, settings: SharedTierSettings, on_fault: FaultObserver) -> ICacheTier:
    """The tier that *settings* ask for, behind a guard; `PluginError` where a plugin cannot make it.

    ValueError where there is none of that name, or where a built-in one lacks a library.
    """
    name, factory = shared_tier_factory(settings.use)
    own = replace(settings, plugins={}, plugin=own_settings(factory, settings.plugins))
    if not name:
        tier = factory.make(reactor, own)
    else:
        try:
            tier = factory.make(reactor, own)
        except Exception as error:
            raise PluginError(f"the plugin {name} cannot make its cache tier: {in_a_line(error)}") from error
        if not ICacheTier.providedBy(tier):
            raise PluginError(f"the plugin {name} makes a {type(tier).__name__}, which provides no ICacheTier")
    return GuardedTier(reactor, tier, settings.timeout, on_fault)


def shared_inventory(settings: SharedTierSettings) -> Inventory:
    """What the tier of *settings* holds, for `imgforge cache`, where its factory has a method `inventory`.

    ValueError where it has none, or the tier's settings or libraries are missing.
    """
    _, factory = shared_tier_factory(settings.use)
    make = getattr(factory, "inventory", None)
    if make is None:
        raise ValueError(f"the plugin of IMGFORGE_CACHE_USE={settings.use} does not list its entries")
    inventory: Inventory = make(replace(settings, plugins={}, plugin=own_settings(factory, settings.plugins)))
    return inventory


def shared_tier_mistakes(settings: SharedTierSettings) -> Iterator[str]:
    """A line for each setting of a built-in tier that is missing or cannot be used, as its factory finds them."""
    if settings.use in BUILT_IN:
        _, factory = shared_tier_factory(settings.use)
        yield from factory.mistakes(settings)


def shared_tier_factory(use: str) -> tuple[str, Any]:
    """The factory of the tier *use*, after the full name of its plugin, "" where it is built in; or ValueError."""
    if use in BUILT_IN:
        module, name = BUILT_IN[use]
        return "", getattr(import_module(module), name)()
    plugins = find_plugins(TIER_PLUGINS)
    if plugins.mistakes:
        raise PluginError(plugins.mistakes[0])
    for name, factory in plugins.factories.items():
        if factory.name == use:
            return name, factory
    raise ValueError("; ".join(unknown_shared_tier(use, plugins.factories)))


def unknown_shared_tier(use: str, factories: Mapping[str, Any]) -> Iterator[str]:
    """A line where *use* is neither a built-in tier nor that of a plugin among *factories*, by full names."""
    of_plugins = {factory.name for factory in factories.values() if ICacheTierFactory.providedBy(factory)}
    if use and use not in BUILT_IN and use not in of_plugins:
        import difflib  # for a mistake only

        known = ["fs", *BUILT_IN, *sorted(of_plugins)]
        near = difflib.get_close_matches(use, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        no_plugin = "" if of_plugins else "; no plugin on Python's path brings another"
        yield f"IMGFORGE_CACHE_USE={use!r} must be one of {', '.join(known)}{no_plugin}{hint}"


def _faults(factory: Any) -> Iterator[str]:
    name = factory.name
    if not isinstance(name, str) or _NAME.match(name) is None:
        yield f"name must be lower-case letters and digits: it is {name!r}"
    elif name in BUILT_IN or name in _OWN:
        yield f"the name {name!r} is that of a tier of imgforge"


def _equal_names(factories: Mapping[str, Any]) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for full_name, factory in factories.items():
        names.setdefault(factory.name, []).append(full_name)
    for name, several in names.items():
        if len(several) > 1:
            yield f"IMGFORGE_CACHE_USE={name} is the first of several plugins: {', '.join(several)}"


TIER_PLUGINS = PluginKind(ICacheTierFactory, _faults, _equal_names)
