"""The settings written out: as a commented TOML file, as a table, as JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from imgforge.config._access import AccessSettings
from imgforge.config._cache import CachesSettings
from imgforge.config._encoders import EncoderSettings
from imgforge.config._http import AnswersSettings
from imgforge.config._processing import ResultSettings
from imgforge.config._service import ServiceSettings
from imgforge.config._settings import Settings
from imgforge.config._sources import SourcesSettings

__all__ = ["json_schema", "markdown_reference", "toml_example"]

_SECTIONS = (
    ServiceSettings,
    AccessSettings,
    SourcesSettings,
    ResultSettings,
    EncoderSettings,
    CachesSettings,
    AnswersSettings,
)


def _rows() -> Iterator[tuple[str, list[tuple[str, Any, str]]]]:
    """Each section's title and its settings: name, default, description."""
    defaults = Settings.model_construct().model_dump(mode="json")
    for section in _SECTIONS:
        fields = section.model_fields.items()
        yield (
            (section.__doc__ or "").strip().rstrip("."),
            [(name, defaults[name], one.description or "") for name, one in fields],
        )


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
        for name, default, description in rows:
            lines += ["", f"# {description}", f"# {name} = {_toml(default)}"]
    return "\n".join(lines) + "\n"


def markdown_reference() -> str:
    """Tables of all settings."""
    lines = []
    for title, rows in _rows():
        lines += [f"### {title}", "", "| variable | default | |", "|---|---|---|"]
        for name, default, description in rows:
            shown = _toml(default).replace("|", "\\|")
            lines.append(f"| `IMGFORGE_{name.upper()}` | `{shown}` | {description.replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a TOML file."""
    return Settings.model_json_schema()
