"""Packages whose names are imported when they are asked for.

A package's `__init__` is its door. Where it imports all that is behind it, a process that needs one name has the whole
package in memory, and imports it at its start.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_door"]


def lazy_door(package: str, names: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of *package*: it has *names* by their module, such as .keys or imgforge.model."""
    modules = {name: module for module, several in names.items() for name in several}

    def import_name(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name], package), name)
        setattr(sys.modules[package], name, value)  # from now on without this function
        return value

    return import_name
