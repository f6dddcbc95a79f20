"""`imgforge playground`: the playground with the operator's settings, on this machine, with signed URLs."""

from __future__ import annotations

import secrets

import click

from imgforge.cli.common import CONFIG, fail

__all__ = ["playground"]

_TOKEN_BYTES = 18
_PORT = 3001


@click.command(short_help="Try options out in a browser, with signed URLs.")
@CONFIG
@click.option(
    "--port", "-p", type=click.IntRange(0, 65535), default=_PORT, show_default=True, help="Port of 127.0.0.1; 0 is any."
)
@click.option(
    "--try", "-t", "directory", type=click.Path(), help="Show the pictures of this directory, as local:// sources."
)
def playground(config_path: str | None, port: int, directory: str | None) -> None:
    """Serve a page on which every option can be tried, and print its address; Ctrl-C ends it.

    The server listens on 127.0.0.1 only and has the operator's settings: keys, presets, sources, limits. It signs the
    URLs of the page that was opened by the printed address, which holds a token. It has a cache of its own in memory,
    and nothing to do with the operator's caches, queue and telemetry.
    """
    from imgforge.config import ConfigurationError
    from imgforge.service import playground_settings, run_playground

    token = secrets.token_urlsafe(_TOKEN_BYTES)
    try:
        settings = playground_settings(config_path, port, directory, token)
        run_playground(settings, token, lambda address: click.echo(f"the playground is on {address}"))
    except ConfigurationError as error:
        fail(*error.lines)
