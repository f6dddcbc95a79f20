"""From command line, environment and TOML file to `Settings`, or to one line for each mistake."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from imgforge.config._settings import ALIASES, SECRET, Settings

__all__ = ["ConfigurationError", "load_settings"]

_PREFIX = "IMGFORGE_"

# Named for what is to come, or for other programs; neither used nor refused.
_FOREIGN = frozenset({"IMGFORGE_CONFIG"})


class ConfigurationError(Exception):
    """What is wrong with the configuration: `lines` has one line for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def load_settings(
    config_path: str | None, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None
) -> Settings:
    """The settings from *overrides* (by name), *environ* (IMGFORGE_*) and the TOML file, in this order of precedence.

    Raises `ConfigurationError` with all mistakes at once.
    """
    mistakes: list[str] = []
    given: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, values in (
        (f"in {config_path}", _from_file(config_path, mistakes)),
        ("in the environment", _from_environment(environ, mistakes)),
        ("on the command line", {name: value for name, value in (overrides or {}).items() if value}),
    ):
        given |= values
        origins |= dict.fromkeys(values, origin)
    _read_presets(given, mistakes)
    try:
        settings = Settings.from_given(given)
    except ValidationError as error:
        mistakes += [_line(one, given, origins) for one in error.errors(include_url=False)]
    if mistakes:
        raise ConfigurationError(mistakes)
    return settings


def _from_file(path: str | None, mistakes: list[str]) -> dict[str, Any]:
    if not path:
        return {}
    try:
        values = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not UTF-8"
        mistakes.append(f"the configuration file {path} cannot be read: {reason}")
        return {}
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"the configuration file {path} is no TOML: {error}")
        return {}
    return _known(values, f"in {path}", mistakes, lambda name: name)


def _from_environment(environ: Mapping[str, str], mistakes: list[str]) -> dict[str, Any]:
    values = {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(_PREFIX) and name not in _FOREIGN and value
    }
    return _known(values, "in the environment", mistakes, lambda name: _PREFIX + name.upper())


def _known(values: Mapping[str, Any], origin: str, mistakes: list[str], shown: Any) -> dict[str, Any]:
    known = {}
    for name, value in values.items():
        canonical = ALIASES.get(name, name)
        if canonical in Settings.model_fields:
            known[canonical] = value
        else:
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            hint = f"; did you mean {shown(near[0])}?" if near else ""
            mistakes.append(f"{shown(name)} {origin} is no setting{hint}")
    return known


def _read_presets(given: dict[str, Any], mistakes: list[str]) -> None:
    """Add the presets of a file, one `name=options` a line, `#` for comments; those given directly win."""
    path = given.get("presets_path")
    if not path:
        return
    try:
        lines = [line.strip() for line in Path(str(path)).read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        mistakes.append(f"IMGFORGE_PRESETS_PATH={path!r} must name a readable file")
        return
    texts = [line for line in lines if line and not line.startswith("#")]
    if not isinstance(given.get("presets", ""), dict):
        given["presets"] = ",".join([*texts, given["presets"]] if given.get("presets") else texts)
    else:
        given["presets"] = dict(line.split("=", 1) for line in texts if "=" in line) | given["presets"]


def _line(error: Any, given: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    """One mistake that pydantic found: setting, value, origin, what is allowed."""
    message = re.sub(r"^(Value error, |Input should be )", "", error["msg"])
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    value = "***" if name in SECRET else repr(given.get(name))
    allowed = message if message.startswith("must") else f"must be {message}"
    return f"{_PREFIX}{name.upper()}={value} {origins.get(name, 'by default')}: {allowed}"
