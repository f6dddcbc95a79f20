"""The settings written out: as a commented TOML file, as a table, as JSON schema."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from imgforge.config.fields import Field, Section
from imgforge.config.settings import Settings

__all__ = ["json_reference", "json_schema", "markdown_reference", "toml_example"]

_LONGEST_LINE = 118  # characters of a comment in the example

# The notation of values other than numbers and switches, by their type's origin.
_WRITTEN: dict[object, str] = {str: "text", bytes: "base64", dict: "name=value pairs", tuple: "list"}


@dataclass(frozen=True, slots=True)
class _Row:
    """A setting as it is documented."""

    name: str
    default: str
    allowed: str
    description: str


def _rows() -> Iterator[tuple[str, list[_Row]]]:
    """Each section's title and its settings, in the order of the bases of `Settings`."""
    for section in Settings.__bases__:
        if not issubclass(section, Section):
            continue
        rows = [
            _Row(name, _toml(field.write(field.read(field.default))), _allowed(field), field.description)
            for name, field in section.fields.items()
        ]
        yield (section.__doc__ or "").strip().rstrip("."), rows


def _allowed(field: Field) -> str:
    """The allowed values of *field*: its type and its bounds."""
    kind = field.annotation
    if kind in {int, float}:
        return f"{'whole number' if kind is int else 'number'} {field.bounds}".rstrip()
    if get_origin(kind) is Literal:
        return ", ".join(choice or "empty" for choice in get_args(kind))
    if kind is bool:
        return "true, false"
    if bool in get_args(kind):
        return "true, false, empty"
    return _WRITTEN[get_origin(kind) or kind]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(",".join(f"{name}={one}" for name, one in value.items()))
    return json.dumps(list(value) if isinstance(value, (list, tuple)) else value)


def toml_example() -> str:
    """A TOML file with every setting, its description and its default, all commented out."""
    lines = [
        "# imgforge: every setting, with its default.",
        "# The environment variable IMGFORGE_X wins over the key x here; --bind wins over both.",
    ]
    for title, rows in _rows():
        lines += ["", f"## {title}"]
        for row in rows:
            text = textwrap.wrap(row.description, _LONGEST_LINE, break_on_hyphens=False)
            allowed = [] if row.allowed == "text" else [f"Allowed: {row.allowed}."]
            lines += ["", *(f"# {line}" for line in [*text, *allowed]), f"# {row.name} = {row.default}"]
    return "\n".join(lines) + "\n"


def markdown_reference() -> str:
    """Tables of all settings."""
    lines = []
    for title, rows in _rows():
        lines += [f"### {title}", "", "| variable | default | allowed | |", "|---|---|---|---|"]
        for row in rows:
            default, description = (text.replace("|", "\\|") for text in (row.default, row.description))
            lines.append(f"| `IMGFORGE_{row.name.upper()}` | `{default}` | {row.allowed} | {description} |")
        lines.append("")
    return "\n".join(lines)


def json_reference() -> list[dict[str, Any]]:
    """All settings in the order of the tables, each with its section, type and default."""
    return [
        {
            "variable": f"IMGFORGE_{row.name.upper()}",
            "key": row.name,
            "section": title,
            "default": Settings.fields[row.name].schema()["default"],
            "allowed": row.allowed,
            "description": row.description,
        }
        for title, rows in _rows()
        for row in rows
    ]


def json_schema() -> dict[str, Any]:
    """The JSON schema of a TOML file."""
    return {
        "title": "Settings",
        "type": "object",
        "properties": {name: field.schema() for name, field in Settings.fields.items()},
        "additionalProperties": False,
    }
