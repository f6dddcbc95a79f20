"""`imgforge explain`: what a URL does under this server's settings, and why."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgforge.cli.common import BROWSER_ACCEPT, CONFIG, fail, headers_option, settings_of
from imgforge.cli.server_connection import ServerRequest, ServerUnreachable, address_of_url, answer_to, path_at

if TYPE_CHECKING:
    from imgforge.config import Settings
    from imgforge.service import FetchedOriginal

__all__ = ["explain"]

_SIZE = re.compile(r"([0-9]{1,6})[xX]([0-9]{1,6})\Z")
_LARGEST_FILE = 1 << 30  # bytes
_LONGEST_REASON = 1000  # bytes of a refusal that are read
_NOT_CACHED = 504


@click.command(short_help="Show what a URL does under the settings, and why.")
@click.argument("url")
@click.option("--accept", help="The client's Accept header; by default a browser's.")
@headers_option("A header of the client, as NAME: VALUE; --fetch sends those that the settings pass on.")
@click.option("--size", help="WIDTHxHEIGHT of the original in pixels: shows the sizes of every stage.")
@click.option("--source-file", type=click.Path(exists=True, dir_okay=False), help="The original: as --size, exactly.")
@click.option("--fetch", is_flag=True, help="Fetch the original as the server would: as --source-file.")
@click.option("--base-url", "-B", help="Ask the server at this URL what it has cached; nothing is made for that.")
@click.option("--json/--text", "as_json", default=None, help="JSON, or text to read; by default text on a terminal.")
@CONFIG
def explain(
    url: str,
    accept: str | None,
    headers: dict[str, str],
    size: str | None,
    source_file: str | None,
    fetch: bool,
    base_url: str | None,
    as_json: bool | None,
    config_path: str | None,
) -> None:
    """Show what URL, a full URL or its path, does: nothing is fetched or made unless an option says so.

    It says whether the signature is good (and if not, which mistake explains it), what the presets stand for, where
    each option comes from, which format the client gets and why, the keys in the caches, the stages of the pipeline,
    and the settings that decided something. The exit status is 0 also for a URL that the server would refuse: `error`
    says so; `imgforge verify` has an exit status for it.
    """
    from imgforge.service import explain as explained
    from imgforge.service import fetched_original

    if sum(map(bool, (size, source_file, fetch))) > 1:
        raise click.UsageError("give at most one of --size, --source-file and --fetch")
    settings = settings_of(config_path)
    if accept is not None and "Accept" in headers:
        raise click.UsageError("give Accept either by --accept or by --header")
    headers = {"Accept": BROWSER_ACCEPT if accept is None else accept, **headers}
    arguments: dict[str, Any] = {"accept": headers["Accept"], "headers": headers, "size": _size(size)}
    fetched: FetchedOriginal | None = None
    if source_file is not None:
        arguments["source"] = _read(source_file)
    elif fetch:
        try:
            fetched = fetched_original(settings, url, headers)
        except Exception as error:
            fail(f"the original cannot be fetched: {error}")
        arguments |= {"failure": fetched.error, "source": None if fetched.error else fetched.body}
    result = explained(settings, url, **arguments).as_json()
    if fetched is not None:  # of what was passed on the names alone: the values may be secrets
        failed = fetched.error.logged if fetched.error else None
        result["fetched"] = {"bytes": len(fetched.body), "passed": list(fetched.passed), "error": failed}
    if base_url is not None:
        server = _cached_by(base_url, url, headers, settings)
        key = (result.get("cache") or {}).get("result")
        if key and server.get("key") and server["key"] != key:
            server["note"] = "its key differs: the server has other settings, or another libvips, than this command"
        result["server"] = server
    if as_json or (as_json is None and not sys.stdout.isatty()):
        click.echo(json.dumps(result, indent=2))
    else:
        from imgforge.cli.explanation_text import explanation_text

        for line in explanation_text(result):
            click.echo(line)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _SIZE.match(text)
    if match is None:
        raise click.UsageError("--size is WIDTHxHEIGHT in pixels, such as 4000x3000")
    return int(match[1]), int(match[2])


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        body = file.read(_LARGEST_FILE + 1)
    if len(body) > _LARGEST_FILE:
        fail(f"{path} has more than {_LARGEST_FILE >> 30} GiB")
    return body


def _cached_by(base_url: str, url: str, headers: dict[str, str], settings: Settings) -> dict[str, object]:
    """What the server at *base_url* has cached for *url*, and until when; only-if-cached keeps it from making it."""
    from imgforge.cli.cached_state import cached_state

    asked = {**headers, "Cache-Control": "only-if-cached"}
    if settings.secret:
        asked["Authorization"] = f"Bearer {settings.secret}"
    try:
        address, path = address_of_url(base_url), path_at(base_url, url)
        answer = answer_to(address, ServerRequest("HEAD", path, headers=asked))
        if answer.status >= 400 and answer.status != _NOT_CACHED:  # only a GET tells why
            answer = answer_to(address, ServerRequest("GET", path, headers=asked, longest=_LONGEST_REASON))
    except (ServerUnreachable, UnicodeError, ValueError) as error:
        return {"error": str(error)}
    return cached_state(answer)
