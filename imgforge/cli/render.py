"""`imgforge render`: fills the queue of images to make beforehand, works on it, and tells what became of them."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import click

from imgforge.cli.common import CONFIG, Progress, checked_settings, fail

if TYPE_CHECKING:
    from imgforge.config import Settings
    from imgforge.queue import JobQueue

__all__ = ["render"]

_BATCH = 1000  # paths in one transaction
_LONGEST_LINE = 20_000  # characters
_LONGEST_ACCEPT = 1024  # characters, as of jobs


@click.group(short_help="Make images before anybody asks for them.")
def render() -> None:
    """Make images before anybody asks for them, by a queue: IMGFORGE_QUEUE_PATH or IMGFORGE_QUEUE_URL."""


def _settings(config_path: str | None) -> Settings:
    settings = checked_settings(config_path)
    if not settings.has_queue:
        fail("there is no queue: set IMGFORGE_QUEUE_PATH, a directory, or IMGFORGE_QUEUE_URL, a broker")
    return settings


@contextmanager
def _queue(settings: Settings) -> Iterator[JobQueue]:
    from imgforge.errors import QueueFailed
    from imgforge.service import make_queue

    try:
        queue = make_queue(settings)
        try:
            yield queue
        finally:
            queue.close()
    except ImportError as error:
        fail(str(error))
    except QueueFailed as error:
        fail(error.logged)


@render.command(short_help="Put images into the queue.")
@click.argument("paths", nargs=-1)
@click.option("--file", "-f", "file", type=click.File("r", encoding="utf-8"), help="A file with a path in each line.")
@click.option("--source", help="URL of an original, of which every preset of IMGFORGE_PRERENDER_PRESETS is made.")
@click.option("--accept", help="Accept header of the visitors, where formats are negotiated; by default AVIF and WebP.")
@CONFIG
def add(
    paths: tuple[str, ...], file: IO[str] | None, source: str | None, accept: str | None, config_path: str | None
) -> None:
    """Put the images at PATHS into the queue: paths as in URLs, signed if the server wants that; - reads lines.

    All are checked before any is queued. Prints {"id": ..., "queued": N}.
    """
    if paths == ("-",):
        paths, file = (), sys.stdin
    if bool(paths) + (file is not None) + (source is not None) != 1:
        raise click.UsageError("give either PATHs, --file, --source, or - for lines from standard input")
    if accept is not None and not (accept.isascii() and accept.isprintable() and len(accept) <= _LONGEST_ACCEPT):
        raise click.BadParameter(f"at most {_LONGEST_ACCEPT} ASCII characters", param_hint="--accept")
    from imgforge.errors import ImgforgeError
    from imgforge.queue import BROWSER_ACCEPT, jobs_of, new_request_id
    from imgforge.service import make_intake

    settings = _settings(config_path)
    intake, progress = make_intake(settings), Progress()
    if source is not None:
        try:
            paths = tuple(intake.paths_of(source))
        except ImgforgeError as error:
            fail(f"--source: {error.message}")
    named = _lines(file) if file is not None else ((path, path) for path in paths)
    with tempfile.SpooledTemporaryFile(max_size=1 << 20, mode="w+", encoding="utf-8") as checked:
        total = 0
        for total, (name, path) in enumerate(named, 1):  # used after the loop
            try:
                intake.check(path)
            except ImgforgeError as error:
                progress.done()
                fail(f"{name}: {error.message}")
            checked.write(f"{path}\n")
            progress.update(f"{total} paths checked")
        if not total:
            fail("there is no path to queue")
        checked.seek(0)
        request, queued = new_request_id(total), 0
        with _queue(settings) as queue:
            while batch := [line[:-1] for line in islice(checked, _BATCH)]:
                queue.add(jobs_of(batch, accept or BROWSER_ACCEPT, request))
                queued += len(batch)
                progress.update(f"{queued} of {total} paths queued")
        progress.done()
    click.echo(json.dumps({"id": request, "queued": total}))


def _lines(file: IO[str]) -> Iterator[tuple[str, str]]:
    """The lines of *file* that are not empty, each with its name."""
    number = 0
    while True:
        try:
            line = file.readline(_LONGEST_LINE)
        except UnicodeDecodeError:
            fail(f"line {number + 1}: it is not UTF-8")
        if not line:
            return
        number += 1
        if line.strip():
            yield f"line {number}", line.strip()


@render.command(short_help="Make the images in the queue.")
@click.option("--drain", is_flag=True, help="End when the queue is empty; status 1 if an image failed, at any worker.")
@click.option("--concurrency", "-n", type=click.IntRange(1, 1024), help="Images at once; by default one for each CPU.")
@CONFIG
def run(drain: bool, concurrency: int | None, config_path: str | None) -> None:
    """Make the images in the queue, beside servers and other workers; prints a JSON report at the end."""
    from imgforge.errors import QueueFailed
    from imgforge.service import run_worker, usable_cpus

    settings, progress = _settings(config_path), Progress()

    def show(report: Any) -> None:
        counts = report.outcomes
        line = f"{counts['done']} made, {counts['failed']} failed, {counts['retried']} tried again"
        progress.update(f"{line}, {counts['done'] / max(report.seconds, 0.001):.1f} a second")

    failed_before = _failed(settings) if drain else 0
    try:
        report = run_worker(settings, concurrency or usable_cpus(), drains=drain, show=show)
    except ImportError as error:
        fail(str(error))
    except QueueFailed as error:
        fail(error.logged)
    progress.done()
    document = report.document()
    click.echo(json.dumps(document))
    # Servers and other workers take from the queue as well.
    raise SystemExit(1 if drain and (document["failed"] or _failed(settings) > failed_before) else 0)


def _failed(settings: Settings) -> int:
    """How many images were put aside."""
    with _queue(settings) as queue:
        return queue.depth()["failed"]


@render.command(short_help="Show what the queue holds.")
@click.option("--failures", type=click.IntRange(0), default=100, show_default=True, help="Maximum failures to list.")
@CONFIG
def status(failures: int, config_path: str | None) -> None:
    """Print how many images are pending, running, done and failed as JSON, and the failures with their reasons."""
    import msgspec

    with _queue(_settings(config_path)) as queue:
        document: dict[str, Any] = msgspec.to_builtins(queue.status(failures))
    click.echo(json.dumps(document, indent=2))


@render.command(short_help="Put the failed images back into the queue.")
@CONFIG
def retry(config_path: str | None) -> None:
    """Put the images that failed back into the queue, as if they had never been tried; prints {"retried": N}."""
    with _queue(_settings(config_path)) as queue:
        count = queue.retry()
    click.echo(json.dumps({"retried": count}))
