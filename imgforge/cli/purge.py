"""`imgforge purge`: have a running server, and all that share its cache, forget images."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import click

from imgforge.cli.common import CONFIG, fail, settings_of

__all__ = ["purge"]

# The server counts for up to ten seconds.
_SECONDS = 30.0
_LONGEST_ANSWER = 1000


@click.command(short_help="Forget cached images.")
@click.option("--base-url", "-B", required=True, help="Where the server is, such as http://127.0.0.1:3000.")
@click.option("--source", help="Forget what was made of the original at this URL.")
@click.option("--prefix", help="Forget what was made of originals whose URLs begin so.")
@click.option("--tag", help="Forget what has this cache tag.")
@click.option("--url", help="Forget one image, by its signed path or its whole URL.")
@CONFIG
def purge(base_url: str, url: str | None, config_path: str | None, **wanted: str | None) -> None:
    """Forget cached images: give one of --source, --prefix, --tag and --url. Prints {"purged": N}."""
    body = {kind: value for kind, value in wanted.items() if value}
    if len(body) + bool(url) != 1:
        raise click.UsageError("give one of --source, --prefix, --tag and --url")
    secret = settings_of(config_path).purge_secret
    if not secret:
        fail("IMGFORGE_PURGE_SECRET is not set")
    base = urlsplit(base_url).path.rstrip("/")
    if url:
        parts = urlsplit(url)
        path = url.partition(parts.netloc)[2] if parts.scheme in {"http", "https"} else base + "/" + url.lstrip("/")
        status, text = _ask(base_url, "PURGE", path, None, secret)
    else:
        status, text = _ask(base_url, "POST", f"{base}/cache/purge", json.dumps(body), secret)
    if status != 200:
        fail(f"the server answered {status}: {text}")
    click.echo(text)


def _ask(base_url: str, method: str, path: str, body: str | None, secret: str) -> tuple[int, str]:
    from imgforge.cli.health import NoAnswer, to_url

    try:
        connection = to_url(base_url, _SECONDS)
    except NoAnswer as error:
        fail(str(error))
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        return answer.status, answer.read(_LONGEST_ANSWER).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, ValueError) as error:
        fail(f"no answer: {error or type(error).__name__}")
    finally:
        connection.close()
