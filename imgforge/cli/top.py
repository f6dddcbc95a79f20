"""`imgforge top`: what takes a running server's time, bytes and errors."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from imgforge.cli.common import BASE_URL, CONFIG, fail, settings_of
from imgforge.cli.server_connection import ServerRequest, ServerUnreachable, address_of_url, path_at, send

if TYPE_CHECKING:
    from imgforge.cli.top_view import TopDocument

__all__ = ["top"]

_NO_SCREEN = frozenset({"dumb", "unknown"})  # terminals on which nothing can be drawn anew
_NO_TABLES = 404  # of a server that does not count, and of other programs
_SWITCH = "for top tables a server of imgforge needs IMGFORGE_SECRET or IMGFORGE_PURGE_SECRET"
_LONGEST = 4 * 1024 * 1024  # bytes of an answer


@click.command(short_help="Show what takes a running server's time, bytes and errors.")
@BASE_URL
@click.option(
    "--by",
    type=click.Choice(["time", "bytes", "errors", "count"]),
    default="time",
    show_default=True,
    help="What the tables are sorted by.",
)
@click.option("--rows", type=click.IntRange(1, 500), default=20, show_default=True, help="Rows of each table.")
@click.option(
    "--minutes", type=click.IntRange(1, 5), default=5, show_default=True, help="Minutes before the present one."
)
@click.option(
    "--interval", type=click.FloatRange(0.5, 3600), default=2.0, show_default=True, help="Seconds between refreshes."
)
@click.option("--once", is_flag=True, help="Print the tables once, on a terminal too.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's JSON once.")
@click.option("--secret", help="The server's token, where neither the environment nor --config has it.")
@CONFIG
def top(
    base_url: str,
    by: str,
    rows: int,
    minutes: int,
    interval: float,
    once: bool,
    as_json: bool,
    secret: str | None,
    config_path: str | None,
) -> None:
    """Show the sources, origins, options and formats that take most of a server, over all its workers.

    On a terminal the tables refresh until Ctrl-C; elsewhere they are printed once. The token is IMGFORGE_SECRET, or
    IMGFORGE_PURGE_SECRET where that is empty. A tilde marks a number that is estimated.
    """
    token = secret or settings_of(config_path).top_secret
    path = f"/debug/top?{urlencode({'by': by, 'rows': rows, 'minutes': minutes})}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = ServerRequest("GET", path_at(base_url, path), headers=headers, longest=_LONGEST)
    except ServerUnreachable as error:
        fail(str(error))
    if as_json:
        click.echo(_answer(base_url, request))
    elif once or not sys.stdout.isatty() or os.environ.get("TERM") in _NO_SCREEN:
        from imgforge.cli.top_view import lines_of

        for line in lines_of(_document(_answer(base_url, request))):
            click.echo(line)
    else:
        _refresh(base_url, request, interval)


def _refresh(base_url: str, request: ServerRequest, interval: float) -> None:
    from rich.console import Console
    from rich.live import Live

    from imgforge.cli.top_view import view_of

    console = Console()
    first = _document(_answer(base_url, request))  # a mistake is told before the screen changes
    try:
        with Live(view_of(first, console.height), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                live.update(view_of(_document(_answer(base_url, request)), console.height), refresh=True)
    except KeyboardInterrupt:
        return


def _answer(base_url: str, request: ServerRequest) -> str:
    try:
        status, text = send(address_of_url(base_url), request)
    except ServerUnreachable as error:
        fail(str(error))
    if status == _NO_TABLES:
        fail(f"the server answered {status}: {text[:200].rstrip()}; {_SWITCH}")
    if status != 200:
        fail(f"the server answered {status}: {text[:200].rstrip()}")
    return text


def _document(text: str) -> TopDocument:
    from imgforge.cli.top_view import read_document

    try:
        return read_document(text)
    except ValueError:
        fail("the server's answer has no top tables: is it another program?")
