"""`imgforge warm`: asks a server for the images that access logs have, so that it caches them."""

from __future__ import annotations

import time

import click

from imgforge.cli.common import BASE_URL, CONFIG, HEADERS, settings_of

__all__ = ["warm"]

_MOST_AT_ONCE = 256


def _since(_context: object, _parameter: object, text: str | None) -> float | None:
    if text is None:
        return None
    from imgforge.cli.warming import parse_since

    try:
        return parse_since(text, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="Ask a server for the images of access logs, so that it caches them.")
@BASE_URL
@click.option("--top", type=click.IntRange(1), help="Ask only for the most frequent paths, so many of them.")
@click.option(
    "--since", callback=_since, help="Skip older requests: 2h, 3d, or a date or time (UTC), 2026-11-28T08:00."
)
@click.option(
    "--concurrency", type=click.IntRange(1, _MOST_AT_ONCE), default=4, show_default=True, help="Requests at once."
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Maximum requests a second.")
@click.option("--dry-run", is_flag=True, help="Print the paths and their counts as JSON lines, and ask for none.")
@click.option("--resign", is_flag=True, help="Sign each path anew with IMGFORGE_KEY and IMGFORGE_SALT.")
@click.option("--resume", type=click.Path(dir_okay=False), help="File that keeps what is done.")
@HEADERS
@click.argument(
    "logs", metavar="LOG...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@CONFIG
def warm(
    base_url: str,
    top: int | None,
    since: float | None,
    concurrency: int,
    rate: float | None,
    dry_run: bool,
    resign: bool,
    resume: str | None,
    headers: dict[str, str],
    logs: tuple[str, ...],
    config_path: str | None,
) -> None:
    """Ask a server for the images that LOGs say were served, each path once, the most frequent first.

    Logs are those of imgforge, Apache, nginx, CloudFront or an AWS load balancer, packed by gzip or not; - is standard
    input. At the end standard output gets a JSON object: the images that were made, hits by cache, failures by status.
    After Ctrl-C the same command with the same --resume goes on. The exit status is 1 if any request failed.
    """
    from imgforge.cli.warming import WarmOptions, run_warming

    options = WarmOptions(base_url, logs, top, since, concurrency, rate or 0.0, dry_run, resign, resume, headers)
    raise SystemExit(run_warming(options, settings_of(config_path)))
