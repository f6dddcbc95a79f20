"""Where variables come from, one source after another; a later one wins, and the last one is the file.

    the environment ──> AWS Secrets Manager ──> AWS Parameter Store ──> Google Secret Manager ──> the file

Each source may name the next ones, and give the credentials for them. Stores are asked in a process of their own
(`store_process`), which ends with the libraries that it needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from imgforge.config.environment.env_file import LineMistake, parse_env_file

__all__ = ["PREFIX", "EnvironmentMistake", "StoreSettings", "Variables", "load_variables"]

PREFIX = "IMGFORGE_"
_STORES = ("env_aws_secret_id", "env_aws_ssm_parameters_path", "env_gcp_secret_id")
_LONGEST = 1024 * 1024  # bytes of a file


class EnvironmentMistake(Exception):
    """A source that cannot be read; the message is one line for the operator, without values."""


class Source(NamedTuple):
    """The variables of a source, its *place* for the line of a mistake, and which of them are secret."""

    place: str
    values: Mapping[str, str]
    secret: frozenset[str]


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of all sources, in the order in which they were read."""

    sources: tuple[Source, ...] = field(default=())

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources)

    @property
    def values(self) -> dict[str, str]:
        """All of them, by name."""
        return {name: value for source in self.sources for name, value in source.values.items()}

    @property
    def others(self) -> dict[str, str]:
        """Those that are no settings, but for libraries and plugins."""
        return {
            name: value
            for name, value in self.values.items()
            if name and not name.startswith((PREFIX, "IMGPROXY_")) and "=" not in name and "\0" not in name + value
        }

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the settings, in lower case, whose values are a store's secrets."""
        latest = {name: source for source in self.sources for name in source.values}
        return frozenset(
            name.removeprefix(PREFIX).lower()
            for name, source in latest.items()
            if name in source.secret and name.startswith(PREFIX)
        )

    @property
    def secret_values(self) -> tuple[str, ...]:
        """The secret values, which no line may show; the longest first."""
        values = {source.values[name] for source in self.sources for name in source.secret}
        return tuple(sorted(values, key=len, reverse=True))


class StoreSettings:
    """The settings of sources, of *environ* or, weaker, of the configuration *file*."""

    def __init__(self, environ: Mapping[str, str], file: Mapping[str, Any]) -> None:
        self._environ = environ
        self._file = file

    def __getitem__(self, name: str) -> str:
        value = self._environ.get(PREFIX + name.upper()) or self._file.get(name, "")
        return value if isinstance(value, str) else ""  # the validation of all settings says so

    @property
    def name_a_store(self) -> bool:
        """Whether a secret store is asked."""
        return any(self[name] for name in _STORES)

    def with_variables(self, values: Mapping[str, str]) -> StoreSettings:
        """These settings where *values* are in the environment as well."""
        return StoreSettings({**self._environ, **values}, self._file)


def load_variables(environ: Mapping[str, str], file: Mapping[str, Any]) -> Variables:
    """The variables of the sources that *environ* and the configuration *file* name. Raises `EnvironmentMistake`."""
    settings = StoreSettings(environ, file)
    sources: list[Source] = []
    if settings.name_a_store:
        from imgforge.config.environment.store_process import sources_of_stores

        sources += sources_of_stores(environ, file)
    known = Variables(tuple(sources)).values
    path = settings.with_variables(known)["env_local_file_path"]
    if path:
        sources.append(_source_of_file(path, {**environ, **known}))
    return Variables(tuple(sources))


def _source_of_file(path: str, environ: Mapping[str, str]) -> Source:
    mistake = f"IMGFORGE_ENV_LOCAL_FILE_PATH: the file {path!r}"
    if "\0" in path:
        raise EnvironmentMistake("IMGFORGE_ENV_LOCAL_FILE_PATH must not contain NUL")
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise EnvironmentMistake(f"{mistake} cannot be read: {error.strerror}") from None
    if len(data) > _LONGEST:
        raise EnvironmentMistake(f"{mistake} is longer than {_LONGEST} bytes")
    with suppress(UnicodeDecodeError):
        return Source(f"in {os.path.abspath(path)}", parse(data.decode(), environ, mistake), frozenset())
    raise EnvironmentMistake(f"{mistake} is not UTF-8")


def parse(text: str, environ: Mapping[str, str], source: str) -> dict[str, str]:
    """The variables of *text*, in the syntax of an environment file. Raises `EnvironmentMistake`."""
    try:
        return parse_env_file(text, environ)
    except LineMistake as error:
        raise EnvironmentMistake(f"{source}: {error}") from None
