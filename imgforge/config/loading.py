"""Loads `Settings` from command line, environment and TOML file, or reports one line for each mistake."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from imgforge.config.caches import OWN_CACHES
from imgforge.config.environment import EnvironmentMistake, Variables, load_variables
from imgforge.config.fields import SettingMistakes
from imgforge.config.header_values import header_pairs
from imgforge.config.peer_settings import peer_setting, unread_imgproxy_variables
from imgforge.config.plugins import fold_plugins
from imgforge.config.rules import SettingsCheck, broken_rules
from imgforge.config.settings import ALIASES, SECRET, Settings
from imgforge.config.url_masking import mask_user_info
from imgforge.config.value_types import named_texts

__all__ = ["ConfigurationError", "load_settings"]

_PREFIX = "IMGFORGE_"
# What this project's own tests read.
_OF_TESTS = frozenset({"IMGFORGE_TESTS", "IMGFORGE_TEST_STORES"})
# Variables that Kubernetes sets in every container of a namespace with a service called imgforge.
_SERVICE_LINK = re.compile(
    r"SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=\d|PORT=\w+://|PORT_\d+_(TCP|UDP|SCTP)(=\w+://|_(PROTO|PORT|ADDR)=)"
)
_LONGEST_SHOWN = 80
_SHORT_SECRET = 8  # characters


class ConfigurationError(Exception):
    """The configuration is unusable; `lines` has one line for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def load_settings(
    config_path: str | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
    check: SettingsCheck = lambda _settings, _unusable: (),
) -> Settings:
    """The settings from *overrides* (by name), the files and stores of variables, *environ* and the TOML file.

    That is their order of precedence. Variables of a file or store that are no settings are put into *environ*, unless
    it is read-only: for *check*, and for libraries. Raises `ConfigurationError` with all mistakes at once, those that
    *check* finds included.
    """
    mistakes: list[str] = []
    idle: dict[str, str] = {}
    given: dict[str, Any] = {}
    origins: dict[str, str] = {}
    aliases: dict[str, str] = {}
    from_file = _from_file(config_path, mistakes)
    variables = _variables(environ, from_file, mistakes)
    for origin, prefix, values in (
        (f"in {config_path}", "", from_file),
        ("in the environment", _PREFIX, fold_plugins(_from_environment(environ))),
        *((source.place, _PREFIX, fold_plugins(_from_environment(source.values))) for source in variables),
        ("on the command line", "", {name: value for name, value in (overrides or {}).items() if value}),
    ):
        for name, value, named_origin, alias in _known(values, origin, prefix, mistakes, idle):
            merged = _merged(given.get(name), value)
            origins[name] = named_origin if merged is value else f"{origins[name]} and {named_origin}"
            given[name], aliases[name] = merged, alias
    for name in ("presets", "info_presets"):
        _read_presets(name, given, mistakes)
        if given.get(f"{name}_path"):
            named_file = f"in the file of {_PREFIX}{name.upper()}_PATH"
            origins[name] = f"{origins[name]} and {named_file}" if name in origins else named_file
    _split_headers(given)
    settings = _validated(given, (origins, aliases), mistakes, check, variables.secrets)
    renaming = unread_imgproxy_variables({*environ, *variables.values}, _PREFIX)
    if mistakes:
        lines = [*mistakes, *filter(None, [renaming])]
        raise ConfigurationError([_without_secrets(line, variables.secret_values) for line in lines])
    without_effect = "; ".join(f"{written} ({why})" for written, why in sorted(idle.items()))
    settings = settings.with_variables(variables.others, variables.secrets)
    return settings.with_notes(filter(None, [renaming, without_effect and f"without effect: {without_effect}"]))


def _variables(environ: Mapping[str, str], file: Mapping[str, Any], mistakes: list[str]) -> Variables:
    """The variables of files and stores; `ConfigurationError` at once where they cannot be read.

    Without them most settings are missing, and their mistakes would say nothing.
    """
    try:
        variables = load_variables(environ, file)
    except EnvironmentMistake as error:
        raise ConfigurationError([*mistakes, str(error)]) from None
    if isinstance(environ, MutableMapping):
        environ.update(variables.others)
    return variables


def _without_secrets(line: str, secrets: tuple[str, ...]) -> str:
    """*line* with `***` for values of secret stores, also where they are cut; short ones are no secrets."""
    for secret in secrets:
        start = secret[:_SHORT_SECRET]
        if len(start) == _SHORT_SECRET:
            while (place := line.find(start)) >= 0:
                end = next(
                    (n for n, (a, b) in enumerate(zip(line[place:], secret, strict=False)) if a != b), len(secret)
                )
                line = f"{line[:place]}***{line[place + end :]}"
    return line


def _merged(weaker: Any, value: Any) -> Any:
    """*value*, which replaces the one of a *weaker* origin; tables of tables (plugins) are merged key by key."""
    if not isinstance(weaker, dict) or not isinstance(value, dict):
        return value
    return weaker | {name: _merged(weaker.get(name), one) for name, one in value.items()}


def _from_file(path: str | None, mistakes: list[str]) -> dict[str, Any]:
    if not path:
        return {}
    import tomllib  # where there is a file only

    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"the configuration file {path} is not valid TOML: {error}")
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not UTF-8"
        mistakes.append(f"the configuration file {path} cannot be read: {reason}")
    return {}


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(_PREFIX)
        and value
        and name not in _OF_TESTS
        and not _SERVICE_LINK.match(f"{name.removeprefix(_PREFIX)}={value}")
    }


def _known(
    values: Mapping[str, Any], origin: str, prefix: str, mistakes: list[str], idle: dict[str, str]
) -> list[tuple[str, Any, str, str]]:
    """Name, value and origin of each of *values* that is a setting, and the name by which it was set.

    Settings that only the peers have, and that do nothing here, are put into *idle* with the reason; all others are
    mistakes.
    """

    def written(name: str) -> str:
        whole = prefix + name.upper() if prefix else name
        return whole if whole.isprintable() else _shown(whole)

    known = []
    # Aliases first: a setting that is also given by its own name comes later and wins.
    for name, value in sorted(values.items(), key=lambda item: item[0] not in {*ALIASES, "cache_use"}):
        if name == "cache_use" and str(value).lower() in OWN_CACHES:
            known.append((name, "", origin, name))
            known.append(("cache_type", str(value).lower(), f"{origin}, as {written(name)}", name))
        elif name in Settings.fields:
            known.append((name, value, origin, name))
        elif name in ALIASES:
            known.append((ALIASES[name], value, f"{origin}, as {written(name)}", name))
        elif (peer := peer_setting(name, value)) is not None:
            if peer.missing:
                mistakes.append(f"{written(name)} {origin} is not supported: {peer.why}")
            elif peer.why:
                idle[written(name)] = peer.why
        else:
            import difflib  # for a mistake only

            near = difflib.get_close_matches(name, [*Settings.fields, *ALIASES], 1)
            hint = f"; did you mean {written(near[0])}?" if near else ""
            mistakes.append(f"{written(name)} {origin} is not a setting{hint}")
    return known


def _read_presets(kind: str, given: dict[str, Any], mistakes: list[str]) -> None:
    """Split the presets, and add those of a file: one `name=options` a line, `#` for comments; direct ones win."""
    separator, direct = given.get("presets_separator", ","), given.get(kind)
    if isinstance(direct, str) and isinstance(separator, str) and separator not in {"", ","}:
        named = (item.strip().partition("=") for item in direct.split(separator) if item.strip())
        given[kind] = {name: options for name, _, options in named}
    path, variable = given.get(f"{kind}_path"), f"{_PREFIX}{kind.upper()}_PATH"
    if not isinstance(path, str) or not path or "\0" in path:
        return
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        mistakes.append(f"{variable}={_shown(path)} must name a readable file")
        return
    from_file = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        name, equals, options = line.partition("=")
        if name and equals and not line.startswith("#"):
            from_file[name] = options
        elif line and not line.startswith("#"):
            mistakes.append(f"{variable}={_shown(path)}: line {number} must be name=options, not {_shown(line)}")
    with contextlib.suppress(ValueError):  # the direct ones are validated with all other settings
        given[kind] = from_file | named_texts(given.get(kind, {}))


def _split_headers(given: dict[str, Any]) -> None:
    """Split custom headers by custom_headers_separator where it is configured."""
    separator = given.get("custom_headers_separator")
    for name in ("custom_request_headers", "custom_response_headers"):
        if isinstance(given.get(name), str) and isinstance(separator, str) and separator:
            with contextlib.suppress(ValueError):  # validated with all other settings
                given[name] = header_pairs(given[name], separator)


def _validated(
    given: Mapping[str, Any],
    known: tuple[Mapping[str, str], Mapping[str, str]],
    mistakes: list[str],
    check: SettingsCheck,
    hidden: frozenset[str],
) -> Settings:
    """The settings; mistakes in some are added to *mistakes*, and their defaults used in their place.

    *known* is what `Settings.with_origins` takes.
    """
    unusable: set[str] = set()
    try:
        settings = Settings.from_given(dict(given))
    except SettingMistakes as error:
        mistakes += [_line(name, allowed, given, known[0], hidden) for name, allowed in error.by_name.items()]
        unusable = set(error.by_name)
        settings = Settings.from_given({name: value for name, value in given.items() if name not in unusable})
    settings = settings.with_origins(*known)
    mistakes += [*broken_rules(settings, unusable), *check(settings, unusable)]
    return settings


def _line(name: str, allowed: str, given: Mapping[str, Any], origins: Mapping[str, str], hidden: frozenset[str]) -> str:
    """The line for one mistake: setting, value, origin, what is *allowed*."""
    value = "***" if name in SECRET | hidden else _shown(given[name])
    return f"{_PREFIX}{name.upper()}={value} {origins[name]}: {allowed}"


def _shown(value: object) -> str:
    """*value* as a mistake quotes it: in one line, shortened to 80 characters."""
    text = mask_user_info(repr(value))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
