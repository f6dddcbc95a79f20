"""One run of `imgforge warm`: the logs are counted, then the paths are printed, or asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from imgforge.cli.common import BROWSER_ACCEPT, SIGNALLED, fail, signer_of
from imgforge.cli.progress import ProgressBar
from imgforge.cli.server_connection import ServerUnreachable, address_of_url, path_at
from imgforge.cli.warming.image_paths import ImagePaths
from imgforge.cli.warming.log_reader import LogReader, LogTotals
from imgforge.cli.warming.path_counts import PathCounts
from imgforge.cli.warming.replay import ReplaySettings
from imgforge.cli.warming.resume_file import ResumeFile, WrongResumeFile
from imgforge.cli.warming.signalled_reactor import ReplayResult, replay_until_signalled
from imgforge.cli.warming.tally import Tally

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["WarmOptions", "run_warming"]

# A server that chooses formats by Accept makes those that visitors get.
_HEADERS = {"Accept": BROWSER_ACCEPT, "Accept-Encoding": "gzip", "User-Agent": "imgforge-warm"}


@dataclass(frozen=True, slots=True)
class WarmOptions:
    """The arguments of the command."""

    base_url: str
    logs: tuple[str, ...]
    top: int | None = None  # paths, None for all
    since: float | None = None  # seconds since the epoch
    concurrency: int = 4
    rate: float = 0.0  # requests a second, 0 without limit
    dry_run: bool = False
    resign: bool = False
    resume: str | None = None  # path of the resume file
    headers: Mapping[str, str] | None = None  # by names as in `Accept`


def run_warming(options: WarmOptions, settings: Settings) -> int:
    """Runs the command and returns its exit status; ends the program where it cannot begin."""
    try:
        address = address_of_url(options.base_url)
    except ServerUnreachable as error:
        fail(f"--base-url: {error}")
    images = ImagePaths(settings, path_at(options.base_url, ""), signer_of(settings) if options.resign else None)
    resume = ResumeFile(options.resume, options.base_url) if options.resume else None
    with PathCounts() as counts:
        if resume is not None:
            _load(resume, counts)
        totals = _read_logs(options, images, counts)
        distinct, left = counts.totals(options.top)
        wanted = distinct if options.top is None else min(options.top, distinct)
        report = {"lines": totals.lines, "images": totals.images, "paths": wanted, "resumed": wanted - left}
        paths = ((images.requested(path), path, count) for path, count in counts.ranked(options.top))
        if options.dry_run:
            for asked, _, count in paths:
                click.echo(json.dumps({"count": count, "path": asked.decode("ascii")}))
            click.echo(json.dumps(report | {"dry_run": True}))
            return 0
        headers = _headers(settings, options.headers or {})
        replay_settings = ReplaySettings(options.concurrency, options.rate, headers=headers)
        pairs = ((asked, path) for asked, path, _ in paths)
        try:
            with ProgressBar("warming", left) as progress:
                if resume is not None:
                    resume.open()
                result = replay_until_signalled(
                    address,
                    pairs,
                    replay_settings,
                    resume.add if resume is not None else lambda _: None,
                    lambda tally: progress.update(tally.requests, _progress_text(tally, left)),
                )
            finished = result.tally.requests == left and not result.tally.failures
            if resume is not None:
                resume.close(finished=finished)
        except OSError as error:
            fail(f"{error.filename or options.resume or 'a temporary file'}: {error.strerror or error}")
    click.echo(json.dumps(report | result.tally.report() | {"interrupted": bool(result.signal)}))
    _explain(result, left, options.resume)
    return SIGNALLED + result.signal if result.signal else 0 if finished else 1


def _load(resume: ResumeFile, counts: PathCounts) -> None:
    try:
        counts.mark_done(resume.done())
    except WrongResumeFile as error:
        fail(str(error))
    except OSError as error:
        fail(f"--resume: {error.filename}: {error.strerror}")


def _read_logs(options: WarmOptions, images: ImagePaths, counts: PathCounts) -> LogTotals:
    reader = LogReader(images, counts, options.since)
    try:
        reader.read(options.logs)
    except OSError as error:
        fail(f"a log cannot be read: {error}")
    totals = reader.totals
    if totals.lines and not totals.requests:
        fail(f"none of the {totals.lines} lines is one of an access log whose format is known")
    if not totals.images:
        click.echo(f"imgforge: no image among {totals.requests} requests", err=True)
    return totals


def _headers(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The headers of each request: the server's token, if it wants one, and those that were *given*."""
    token = {"Authorization": f"Bearer {settings.secret}"} if settings.secret else {}
    return _HEADERS | token | dict(given)


def _progress_text(tally: Tally, total: int) -> str:
    failures = tally.failures.total()
    failed = f", {failures} failed" if failures else ""
    return f"{tally.requests} of {total}, {tally.made} made, {tally.hits.total()} hits{failed}"


def _explain(result: ReplayResult, left: int, resume: str | None) -> None:
    if result.trouble:
        click.echo(f"imgforge: gave up: {result.trouble}", err=True)
    missing = left - result.tally.requests
    if missing > 0:
        again = (
            f"with --resume {resume} again" if resume else "with --resume FILE, to be able to go on after the next time"
        )
        click.echo(f"imgforge: {missing} of {left} paths were not asked for: run it {again}", err=True)
