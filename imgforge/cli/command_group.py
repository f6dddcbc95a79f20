"""The group of all commands: what people who know other servers type first, and how a command ends that fails."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any

import click

from imgforge.cli.common import SIGNALLED, fail

__all__ = ["CommandGroup"]

_SERVER = "the server is started by `twistd -n imgforge`, with `--config FILE` or variables IMGFORGE_..."
_HINTS = {
    **dict.fromkeys(("run", "serve", "server", "start", "up"), _SERVER),
    **dict.fromkeys(("-p", "--bind", "--config", "--port", "-c"), f"it belongs behind a command; {_SERVER}"),
    "help": "`imgforge --help` shows the commands, `imgforge COMMAND --help` one of them",
    "thumbor-url": "URLs are signed by `imgforge sign`",
    "version": "`imgforge --version` shows the version",
}
_OF_PATH = "`imgforge explain URL` shows what a URL does, `imgforge process OPTIONS IN OUT` makes images of files"


class CommandGroup(click.Group):
    """A group whose commands end with a line instead of a traceback where the system or an argument is at fault."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """See `click.Command`."""
        _open_closed_streams()
        try:
            return super().main(*args, **extra)
        except UnicodeEncodeError as error:
            if error.reason != "surrogates not allowed":
                fail(f"the output cannot be written as {error.encoding}: set PYTHONIOENCODING=utf-8")
            click.echo("imgforge: an argument is not UTF-8", err=True)
            raise SystemExit(2) from None
        except OSError as error:
            if error.filename is None and error.errno in {errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT}:
                _forget_output()
                fail(f"the output cannot be written: {error.strerror}")
            raise

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """See `click.Command`."""
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        try:
            return super().make_context(*args, **extra)
        except click.NoSuchOption as error:
            raise _with_hint(error, error.option_name) from None

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Command`; Ctrl-C is the exit status 130, and no message."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(SIGNALLED + signal.SIGINT) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group`."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise _with_hint(error, args[0]) from None


def _with_hint(error: click.UsageError, word: str) -> click.UsageError:
    """*error*, or in its place one that says what to type instead of *word*."""
    hint = _HINTS.get(word) or (_OF_PATH if "/" in word else "")
    if not hint:
        return error
    kind = "option" if word.startswith("-") else "command"
    return click.UsageError(f"No such {kind} {word[:100]!r}: {hint}", error.ctx)


def _open_closed_streams() -> None:
    """Open /dev/null in place of each standard stream that is closed, so that no file gets its descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process lives


def _forget_output() -> None:
    """Drop what could not be written, which Python would try to write again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
