"""`imgforge purge`: removes images from the caches of a running server and of all servers that share its cache."""

from __future__ import annotations

import json

import click

from imgforge.cli.common import BASE_URL, CONFIG, fail, settings_of
from imgforge.cli.server_connection import ServerRequest, ServerUnreachable, address_of_url, path_at, send

__all__ = ["purge"]

_TIMEOUT = 30.0  # seconds; the server counts the removed entries for up to 10


@click.command(short_help="Remove images from the cache of a running server.")
@BASE_URL
@click.option("--source", help="Remove all images of the original at this URL.")
@click.option("--prefix", help="Remove all images of originals whose URLs begin with this.")
@click.option("--tag", help="Remove the images with this cache tag.")
@click.option("--url", help="Remove one image, by its signed path or full URL.")
@CONFIG
def purge(base_url: str, url: str | None, config_path: str | None, **matches: str | None) -> None:
    """Remove cached images by exactly one of --source, --prefix, --tag and --url; prints {"purged": N}."""
    body = {kind: value for kind, value in matches.items() if value}
    if len(body) + bool(url) != 1:
        raise click.UsageError("give exactly one of --source, --prefix, --tag and --url")
    secret = settings_of(config_path).purge_secret
    if not secret:
        fail("IMGFORGE_PURGE_SECRET is not set: set it to the server's value")
    if url:
        status, text = _request(base_url, "PURGE", url, None, secret)
    else:
        status, text = _request(base_url, "POST", "/cache/purge", json.dumps(body), secret)
    if status != 200:
        fail(f"the server answered {status}: {text}")
    click.echo(text)


def _request(base_url: str, method: str, url: str, body: str | None, secret: str) -> tuple[int, str]:
    try:
        authorization = {"Authorization": f"Bearer {secret}"}
        return send(
            address_of_url(base_url), ServerRequest(method, path_at(base_url, url), body, authorization, _TIMEOUT)
        )
    except ServerUnreachable as error:
        fail(str(error))
