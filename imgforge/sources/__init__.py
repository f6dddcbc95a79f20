"""Where originals come from, and what may be fetched at all."""

from imgforge.sources._dial import read_authorities
from imgforge.sources._guard import AddressPolicy, address_class
from imgforge.sources._http import HttpSource
from imgforge.sources._local import LocalSource
from imgforge.sources._names import use_own_names
from imgforge.sources._plugin_settings import unknown_plugin_settings
from imgforge.sources._plugins import PluginError, find_plugins
from imgforge.sources._settings import AllowedSources, SourceSettings
from imgforge.sources._sources import Sources

__all__ = [
    "AddressPolicy",
    "AllowedSources",
    "HttpSource",
    "LocalSource",
    "PluginError",
    "SourceSettings",
    "Sources",
    "address_class",
    "find_plugins",
    "read_authorities",
    "unknown_plugin_settings",
    "use_own_names",
]
