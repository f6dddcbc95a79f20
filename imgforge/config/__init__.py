"""Settings: their names, defaults and limits, where they come from, and what is wrong with them."""

from imgforge.config.bind import BindAddress, parse_bind
from imgforge.config.loading import ConfigurationError, load_settings
from imgforge.config.reference import json_schema, markdown_reference, toml_example
from imgforge.config.rules import Rule, SettingsCheck, broken_rules
from imgforge.config.settings import Settings

__all__ = [
    "BindAddress",
    "ConfigurationError",
    "Rule",
    "Settings",
    "SettingsCheck",
    "broken_rules",
    "json_schema",
    "load_settings",
    "markdown_reference",
    "parse_bind",
    "toml_example",
]
