"""`imgforge cache`: what is in the directory of the disk tier. The server may run meanwhile."""

from __future__ import annotations

import json
import os
from typing import NoReturn

import click

from imgforge.cli._common import CONFIG, Progress, fail, settings_of

__all__ = ["cache"]


@click.group(short_help="Look after the directory of cached images.")
def cache() -> None:
    """Look after the directory of cached images (IMGFORGE_CACHE_DISK_PATH)."""


def _directory(config_path: str | None) -> str:
    path = settings_of(config_path).cache[1]
    if not path:
        fail("IMGFORGE_CACHE_DISK_PATH is not set: there is no directory of cached images")
    if not os.path.isdir(path):
        fail(f"IMGFORGE_CACHE_DISK_PATH={path!r} is no directory")
    if not os.access(path, os.R_OK | os.X_OK):
        fail(f"IMGFORGE_CACHE_DISK_PATH={path!r} cannot be read")
    return path


def _unusable(path: str, error: OSError) -> NoReturn:
    fail(f"{path}: {os.strerror(error.errno) if error.errno else error}")


@cache.command()
@CONFIG
def stats(config_path: str | None) -> None:
    """Count the entries and their bytes, as JSON."""
    from imgforge.cache import entries

    count = size = 0
    progress = Progress()
    for _, status in entries(_directory(config_path)):
        count, size = count + 1, size + status.st_size
        progress.tell(f"{count} entries, {size} bytes")
    progress.done()
    click.echo(json.dumps({"entries": count, "bytes": size}))


@cache.command(short_help="Remove what has not been used for the longest time.")
@click.option("--max-bytes", type=click.IntRange(0), required=True, help="Bytes that may stay.")
@CONFIG
def prune(max_bytes: int, config_path: str | None) -> None:
    """Remove what has not been used for the longest time, until the rest is within --max-bytes."""
    from imgforge.cache import sweep

    path = _directory(config_path)
    progress = Progress()
    directories = 0

    def look() -> bool:
        nonlocal directories
        directories += 1
        progress.tell(f"{directories} directories looked through")
        return False

    try:
        # For a sweep 0 is no limit.
        swept = sweep(path, max(1, max_bytes), 0, stopping=look)
    except OSError as error:
        _unusable(path, error)
    progress.done()
    if swept is None:
        fail("another process is sweeping the directory at this moment: try again")
    click.echo(json.dumps({"removed": swept.removed, "entries": swept.entries, "bytes": swept.bytes}))


@cache.command(short_help="Read every entry and remove the damaged ones.")
@click.option("--keep", is_flag=True, help="Leave damaged entries where they are.")
@CONFIG
def verify(keep: bool, config_path: str | None) -> None:
    """Read every entry and remove the damaged ones; exit status 1 if there were any, or some could not be read."""
    from imgforge.cache import CorruptEntry, OldEntry, entries, read_entry, remove

    found = {"entries": 0, "bytes": 0, "damaged": 0, "old": 0, "unreadable": 0, "removed": 0}
    progress = Progress()
    for file, status in entries(_directory(config_path)):
        found["entries"] += 1
        found["bytes"] += status.st_size
        progress.tell(f"{found['entries']} entries read, {found['damaged']} damaged")
        try:
            read_entry(file.path, bytes.fromhex(file.name.partition(".")[0]), touch=False)
        except FileNotFoundError:  # the server removed it meanwhile
            found["entries"] -= 1
            found["bytes"] -= status.st_size
        except CorruptEntry as error:
            found["old" if isinstance(error, OldEntry) else "damaged"] += 1
            progress.done()
            click.echo(f"{file.path}: {error}", err=True)
            found["removed"] += not keep and remove(file)
        except OSError as error:
            found["unreadable"] += 1
            progress.done()
            click.echo(f"{file.path}: {os.strerror(error.errno) if error.errno else error}", err=True)
    progress.done()
    click.echo(json.dumps(found))
    raise SystemExit(1 if found["damaged"] or found["unreadable"] else 0)
