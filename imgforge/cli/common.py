"""Shared by the commands: settings, error messages, secret files and progress."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from imgforge.config import Settings, SettingsCheck
    from imgforge.urls import Signer

__all__ = [
    "BASE_URL",
    "BROWSER_ACCEPT",
    "CONFIG",
    "HEADERS",
    "SIGNALLED",
    "Progress",
    "checked_settings",
    "escaped",
    "fail",
    "fail_without_keys",
    "headers_option",
    "parse_headers",
    "rfc3339",
    "settings_of",
    "signer_of",
    "write_secret",
]

F = TypeVar("F", bound=Callable[..., Any])

CONFIG = click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(),
    help="TOML file with settings; environment variables override it.",
)


def headers_option(description: str) -> Callable[[F], F]:
    """The option `-H NAME: VALUE`, which may be repeated, as `parse_headers` has them."""
    return click.option(
        "--header",
        "-H",
        "headers",
        multiple=True,
        callback=lambda _context, _parameter, lines: parse_headers(lines),
        help=description,
    )


HEADERS = headers_option("Header of each request, such as Accept.")
BASE_URL = click.option("--base-url", "-B", required=True, help="URL of the server, such as http://127.0.0.1:3000.")

# What browsers send for an image: Chrome's, which names the most formats.
BROWSER_ACCEPT = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SIGNALLED = 128  # added to the number of a signal, the exit status that shells know

_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([ -~]*)")

# Seconds between two lines of progress, on a terminal and in a log.
_TERMINAL_INTERVAL = 0.1
_LOG_INTERVAL = 5.0


def escaped(text: str) -> str:
    """*text* with its control characters escaped: it moves no cursor."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def fail(*lines: str) -> NoReturn:
    """Prints *lines* to standard error and ends the program with exit status 1."""
    for line in lines:
        click.echo(f"imgforge: {escaped(line)}", err=True)  # it may quote a server
    raise SystemExit(1)


def settings_of(config_path: str | None, check: SettingsCheck = lambda _settings, _unusable: ()) -> Settings:
    """Returns the settings of the environment and of the TOML file; mistakes in them end the program."""
    from imgforge.config import ConfigurationError, load_settings

    try:
        return load_settings(config_path, os.environ, check=check)
    except ConfigurationError as error:
        fail(*error.lines)


def checked_settings(config_path: str | None) -> Settings:
    """Returns the settings, checked as the server does at its start: files and directories must exist.

    Commands that only sign or verify URLs use `settings_of`: they also run on machines without those files.
    """
    from imgforge.service import check_settings

    return settings_of(config_path, check_settings)


def fail_without_keys(why: str) -> NoReturn:
    """Ends the program since there are no keys, *why* it needs them or where they come from."""
    peer = "IMGPROXY_KEY" in os.environ
    hint = ["IMGPROXY_KEY is not read: rename the prefix IMGPROXY_ to IMGFORGE_"] if peer else []
    fail(f"IMGFORGE_KEY and IMGFORGE_SALT are not set: {why}", *hint)


def signer_of(settings: Settings) -> Signer:
    """Returns what signs paths with the first key and salt of *settings*; ends the program without a key."""
    from imgforge.urls import Signer

    if not settings.key:
        fail_without_keys("`imgforge keygen` generates them")
    return Signer(settings.key[0], settings.salt[0], settings.signature_size)


def parse_headers(lines: tuple[str, ...]) -> dict[str, str]:
    """The headers in *lines*, `NAME: VALUE`, by name as in `Accept`; the values of a repeated name are joined."""
    matches = [_HEADER.fullmatch(line) for line in lines]
    if not all(matches):
        raise click.BadParameter("a header is a name, a colon and a value of ASCII")
    headers: dict[str, str] = {}
    for name, value in (match.groups() for match in matches if match):
        known = headers.get(name.title())
        between = "; " if name.lower() == "cookie" else ", "
        headers[name.title()] = value if known is None else known + between + value
    return headers


def rfc3339(seconds: float) -> str | None:
    """The moment *seconds* after the epoch as RFC 3339 says; None beyond the calendar, such as infinity."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def write_secret(path: str, text: str, *, replace: bool = False) -> None:
    """Writes *text* to a file that only its owner can read.

    Raises `FileExistsError` if *path* exists, unless *replace* is set, which replaces it in one step.
    """
    if replace:
        descriptor, temporary = tempfile.mkstemp(dir=Path(path).parent)
    else:
        descriptor, temporary = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), path
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


class Progress:
    """Reports the progress of a command on standard error: one changing line on a terminal, else a line every 5 s."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._interval = _TERMINAL_INTERVAL if self._terminal else _LOG_INTERVAL
        self._next_report = time.monotonic() + self._interval
        self._line_shown = False

    def update(self, text: str) -> None:
        """Prints *text*, unless the last report is more recent than the interval."""
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + self._interval
            self._line_shown = self._terminal
            click.echo(f"\r\x1b[K{text}" if self._terminal else text, err=True, nl=not self._terminal)

    def done(self) -> None:
        """Clears the line on a terminal."""
        if self._line_shown:
            click.echo("\r\x1b[K", err=True, nl=False)
