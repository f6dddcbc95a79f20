"""`imgforge health`: whether a running server accepts requests."""

from __future__ import annotations

import click

from imgforge.cli.common import CONFIG, fail, settings_of
from imgforge.cli.server_connection import ServerRequest, ServerUnreachable, address_of_listener, address_of_url, send

__all__ = ["health"]


@click.command(short_help="Check whether a running server accepts requests.")
@click.option(
    "--url",
    "--base-url",
    "-B",
    "url",
    help="URL of the server, such as http://127.0.0.1:3000; by default the first one of IMGFORGE_BIND.",
)
@CONFIG
def health(url: str | None, config_path: str | None) -> None:
    """Request /health of a running server, with a timeout of 5 seconds: exit status 0 if it answers 200, else 1."""
    try:
        address = address_of_url(url) if url else address_of_listener(settings_of(config_path).listeners)
        status, text = send(address, ServerRequest("GET", "/health"))
    except ServerUnreachable as error:
        fail(str(error))
    click.echo(text)
    raise SystemExit(0 if status == 200 else 1)
