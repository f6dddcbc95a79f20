"""Settings: their names, defaults and limits, where they come from, and what is wrong with them."""

from typing import TYPE_CHECKING

from imgforge.config.bind import BindAddress, parse_bind
from imgforge.config.loading import ConfigurationError, load_settings
from imgforge.config.rules import Rule, SettingsCheck, broken_rules
from imgforge.config.settings import Settings
from imgforge.config.url_masking import mask_user_info
from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.config.reference import json_reference, json_schema, markdown_reference, toml_example

__all__ = [
    "BindAddress",
    "ConfigurationError",
    "Rule",
    "Settings",
    "SettingsCheck",
    "broken_rules",
    "json_reference",
    "json_schema",
    "load_settings",
    "markdown_reference",
    "mask_user_info",
    "parse_bind",
    "toml_example",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".reference": (
            "json_reference",
            "json_schema",
            "markdown_reference",
            "toml_example",
        ),
    },
)
