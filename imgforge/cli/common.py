"""What the commands have in common: settings, failures, progress."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Collection

    from imgforge.config import Rule, Settings

__all__ = ["CONFIG", "Progress", "checked_settings", "fail", "settings_of", "write_secret"]

CONFIG = click.option("--config", "-c", "config_path", type=click.Path(), help="TOML file with settings.")

# Seconds between two signs of life, on a terminal and elsewhere.
_OFTEN = 0.1
_RARELY = 5.0


def fail(*lines: str) -> NoReturn:
    """Say *lines* on standard error and end with status 1."""
    for line in lines:
        click.echo(f"imgforge: {line}", err=True)
    raise SystemExit(1)


def settings_of(config_path: str | None, rules: Collection[Rule] = ()) -> Settings:
    """The settings of the environment and the file; a mistake in them ends the program."""
    from imgforge.config import ConfigurationError, load_settings

    try:
        return load_settings(config_path, os.environ, rules=rules)
    except ConfigurationError as error:
        fail(*error.lines)


def checked_settings(config_path: str | None) -> Settings:
    """Checked as the server does at its start: the files that it needs may not be where URLs are signed."""
    from imgforge.service import RULES

    return settings_of(config_path, RULES)


def write_secret(path: str, text: str, *, replace: bool = False) -> None:
    """Write *text* to a file that its owner alone can read; `FileExistsError` where there is one, unless *replace*."""
    if replace:
        descriptor, written = tempfile.mkstemp(dir=Path(path).parent)
    else:
        descriptor, written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), path
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(written, path)


class Progress:
    """How far long work has come: one line that changes, on a terminal; else a line now and then. On standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (_OFTEN if self._terminal else _RARELY)
        self._shown = False

    def tell(self, text: str) -> None:
        """Show *text*, if it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (_OFTEN if self._terminal else _RARELY)
            self._shown = self._terminal
            click.echo(f"\r\x1b[K{text}" if self._terminal else text, err=True, nl=not self._terminal)

    def done(self) -> None:
        """Clear the line."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
