"""Settings of plugins: texts by plugin and name, which the plugins themselves validate."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from imgforge.config.fields import Reads, Section, setting

__all__ = ["PluginsSettings", "fold_plugins"]

# A plugin's name has no underscore, so that the name of a variable can be split in one way only.
_VARIABLE = re.compile(r"plugin_([a-z0-9]+)_([a-z0-9_]+)")
_NAME = re.compile(r"[a-z0-9]+")
_KEY = re.compile(r"[a-z0-9_]+")


def _text(value: object) -> str:
    """A value as the text that an environment variable would have."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError("must be texts, numbers, or true and false")


def _tables(value: Any) -> dict[str, dict[str, str]]:
    if value == "":
        return {}
    tables: list[tuple[str, Any]] = list(value.items()) if isinstance(value, dict) else [("", "")]
    if not all(isinstance(table, dict) and _NAME.fullmatch(name) for name, table in tables):
        raise ValueError("must be tables such as [plugin.zip], whose names are lower-case letters and digits")
    if not all(_KEY.fullmatch(key) for _, table in tables for key in table):
        raise ValueError("must have keys of lower-case letters, digits and underscores")
    return {name: {key: _text(one) for key, one in table.items()} for name, table in tables}


_SCHEMA = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": True}}


class PluginsSettings(Section):
    """Plugins."""

    plugin: Annotated[dict[str, dict[str, str]], Reads(_tables, _SCHEMA)] = setting(
        {},
        description="Settings of plugins: x of the plugin zip is the variable IMGFORGE_PLUGIN_ZIP_X, or the key x in "
        "the table [plugin.zip]; a name that no plugin declares ends the start.",
    )


def fold_plugins(values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* by name, with all `plugin_zip_x` among them gathered under `plugin`, as the TOML file has them."""
    folded: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        match = _VARIABLE.fullmatch(name)
        if match is None:
            folded[name] = value
        else:
            tables.setdefault(match[1], {})[match[2]] = value
    return folded | ({"plugin": tables} if tables else {})
