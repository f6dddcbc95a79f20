"""The rules between settings: each stands alone, so that no mistake hides another."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgforge.config._settings import Settings

__all__ = ["broken_rules"]


def _keys_and_salts(settings: Settings) -> str | None:
    keys, salts = len(settings.key), len(settings.salt)
    if keys == salts:
        return None
    return f"IMGFORGE_KEY has {keys} keys and IMGFORGE_SALT {salts} salts: each key needs a salt"


def _encryption_key(settings: Settings) -> str | None:
    if [len(key) for key in settings.source_url_encryption_key] in ([], [16], [24], [32]):
        return None
    return "IMGFORGE_SOURCE_URL_ENCRYPTION_KEY=*** must be one key of 16, 24 or 32 bytes"


def _directory(settings: Settings) -> str | None:
    if settings.cache_type not in {"disk", "hybrid"} or settings.cache_disk_path:
        return None
    return f"IMGFORGE_CACHE_TYPE={settings.cache_type} needs IMGFORGE_CACHE_DISK_PATH, a directory"


def _quality_search(settings: Settings) -> str | None:
    least, greatest = settings.autoquality_min, settings.autoquality_max
    if least <= greatest:
        return None
    return f"IMGFORGE_AUTOQUALITY_MIN={least} must not be above IMGFORGE_AUTOQUALITY_MAX={greatest}"


def _reach(settings: Settings) -> str | None:
    if settings.key or settings.allow_unsigned or settings.on_loopback:
        return None
    where = ", ".join(str(one) for one in settings.listeners if not one.is_loopback)
    return (
        f"IMGFORGE_KEY and IMGFORGE_SALT are needed to listen on {where}: make them with `imgforge keygen`, "
        "or set IMGFORGE_ALLOW_UNSIGNED=true to serve anybody anything"
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """The names that it compares, and what it says where it is broken."""

    names: frozenset[str]
    broken: Callable[[Settings], str | None]


_RULES = (
    _Rule(frozenset({"key", "salt"}), _keys_and_salts),
    _Rule(frozenset({"source_url_encryption_key"}), _encryption_key),
    _Rule(frozenset({"cache_type", "cache_disk_path"}), _directory),
    _Rule(frozenset({"autoquality_min", "autoquality_max"}), _quality_search),
    _Rule(frozenset({"key", "salt", "bind", "allow_unsigned"}), _reach),
)


def broken_rules(settings: Settings, unusable: Collection[str]) -> list[str]:
    """A line for each broken rule, but for those about *unusable* settings, whose values are not what was meant."""
    lines = (rule.broken(settings) for rule in _RULES if rule.names.isdisjoint(unusable))
    return [line for line in lines if line]
