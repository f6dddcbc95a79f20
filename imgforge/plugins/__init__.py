"""Plugins of others: their modules below `twisted/plugins`, the factories in these, and their settings."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.plugins.factories import PluginError, PluginKind, Plugins, find_plugins, in_a_line
    from imgforge.plugins.modules import plugin_modules
    from imgforge.plugins.settings import own_settings, unknown_plugin_settings

__all__ = [
    "PluginError",
    "PluginKind",
    "Plugins",
    "find_plugins",
    "in_a_line",
    "own_settings",
    "plugin_modules",
    "unknown_plugin_settings",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".factories": (
            "PluginError",
            "PluginKind",
            "Plugins",
            "find_plugins",
            "in_a_line",
        ),
        ".modules": ("plugin_modules",),
        ".settings": ("own_settings", "unknown_plugin_settings"),
    },
)
