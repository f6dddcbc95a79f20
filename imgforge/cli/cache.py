"""`imgforge cache`: what is in the directory of the disk tier. The server may run meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import click

from imgforge.cli.common import CONFIG, Progress, fail, settings_of

if TYPE_CHECKING:
    from imgforge.model import CacheEntry

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


def _originals(directory: str) -> str:
    return os.path.join(directory, "originals")


@cache.command(short_help="Count the entries and their bytes.")
@CONFIG
def stats(config_path: str | None) -> None:
    """Count the entries and their bytes, of results and of originals, as JSON."""
    directory = _directory(config_path)
    progress = Progress()
    results = _count(directory, "entries", progress)
    originals = _count(_originals(directory), "originals", progress)
    progress.done()
    click.echo(json.dumps(results | {"originals": originals}))


def _count(directory: str, name: str, progress: Progress) -> dict[str, int]:
    from imgforge.cache import entries

    count = size = 0
    for _, status in entries(directory):
        count, size = count + 1, size + status.st_size
        progress.tell(f"{count} {name}, {size} bytes")
    return {"entries": count, "bytes": size}


@cache.command(short_help="List what was made of one original.")
@click.option("--source", required=True, help="The URL of the original, as for purging.")
@CONFIG
def find(source: str, config_path: str | None) -> None:
    """List what is kept of the original at --source, and was made of it: a line of JSON for each entry."""
    from imgforge.cache import CorruptEntry, entries, entry_path, original_key, read_metadata

    directory = _directory(config_path)
    progress = Progress()
    looked = 0

    def candidates() -> Iterator[tuple[str, str]]:
        yield "original", str(entry_path(_originals(directory), original_key(source)))
        for file, _ in entries(directory):
            yield "result", file.path

    for kind, path in candidates():
        looked += 1
        progress.tell(f"{looked} entries looked at")
        try:
            key, entry, size = read_metadata(path)
        except (OSError, CorruptEntry):  # gone meanwhile, or for `verify` to tell of
            continue
        if entry.source == source:
            progress.done()
            found: dict[str, object] = {"key": key.hex(), "kind": kind, "size": size}
            found |= {"age": round(time.time() - entry.stored_at, 1), "format": entry.rendition.format or None}
            click.echo(json.dumps(found | {"content_type": entry.rendition.content_type}))
    progress.done()


@cache.command(short_help="Show what is known of one entry.")
@click.argument("key")
@CONFIG
def show(key: str, config_path: str | None) -> None:
    """Show what is known of the entry under KEY, an answer's X-Cache-Key, as JSON; its image is not read."""
    from imgforge.cache import KEY_BYTES, CorruptEntry, entry_path, read_metadata
    from imgforge.service import caches_settings

    try:
        name = bytes.fromhex(key)
    except ValueError:
        name = b""
    if len(name) != KEY_BYTES:
        fail(f"{key!r} is no key: it has {2 * KEY_BYTES} hexadecimal digits, as X-Cache-Key and `cache find` give them")
    directory, terms = _directory(config_path), caches_settings(settings_of(config_path))
    for kind, root, freshness in (
        ("result", directory, terms.results),
        ("original", _originals(directory), terms.originals),
    ):
        path = entry_path(root, name)
        try:
            _, entry, size = read_metadata(path)
        except FileNotFoundError:
            continue
        except CorruptEntry as error:
            fail(f"{path}: {error}")
        except OSError as error:
            _unusable(str(path), error)
        click.echo(json.dumps(_description(name, kind, entry, size, freshness.fresh_until(entry)), indent=2))
        return
    fail("there is no such entry on disk")


def _description(key: bytes, kind: str, entry: CacheEntry, size: int, fresh_until: float) -> dict[str, object]:
    """All of *entry* that is not the image; what is not known, or does not end, is null."""
    rendition = entry.rendition
    return {
        "key": key.hex(),
        "kind": kind,
        "source": entry.source,
        "content_type": rendition.content_type,
        "format": rendition.format or None,
        "size": size,
        "width": rendition.width or None,
        "height": rendition.height or None,
        "created": _moment(entry.stored_at),
        "origin_asked": _moment(entry.asked_at or entry.stored_at),
        "fresh_until": _moment(fresh_until),
        "etag": entry.etag or None,
        "tags": list(entry.tags),
        "source_etag": entry.source_etag or None,
        "source_last_modified": entry.source_last_modified or None,
        "source_cache_control": entry.source_cache_control or None,
        "source_expires": entry.source_expires or None,
        "source_headers": dict(entry.source_headers),
    }


def _moment(seconds: float) -> str | None:
    """A time as in RFC 3339; None beyond the calendar, as "for ever" is."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


@cache.command(short_help="Remove what has not been used for the longest time.")
@click.option("--max-bytes", type=click.IntRange(0), required=True, help="Bytes that may stay.")
@CONFIG
def prune(max_bytes: int, config_path: str | None) -> None:
    """Remove what has not been used for the longest time, until the rest is within --max-bytes."""
    from imgforge.cache import DiskLimits, SweepOptions, sweep

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
        swept = sweep(path, DiskLimits(max(1, max_bytes)), SweepOptions(stopping=look))
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
