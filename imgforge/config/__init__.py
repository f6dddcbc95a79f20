"""Settings: their names, defaults and limits, where they come from, and what is wrong with them."""

from imgforge.config._bind import BindAddress, parse_bind
from imgforge.config._loading import ConfigurationError, load_settings
from imgforge.config._reference import json_schema, markdown_reference, toml_example
from imgforge.config._rules import Rule
from imgforge.config._settings import Settings

__all__ = [
    "BindAddress",
    "ConfigurationError",
    "Rule",
    "Settings",
    "json_schema",
    "load_settings",
    "markdown_reference",
    "parse_bind",
    "toml_example",
]
