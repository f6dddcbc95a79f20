"""`imgforge cache`: inspects and cleans up the directory of the disk cache, also while a server uses it."""

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


@click.group(short_help="Inspect and clean up the disk cache.")
def cache() -> None:
    """Inspect and clean up the disk cache (IMGFORGE_CACHE_DISK_PATH), also while a server uses it."""


def _directory(config_path: str | None) -> str:
    path = settings_of(config_path).prepare_cache()[1]
    if not path:
        fail("IMGFORGE_CACHE_DISK_PATH is not set, so that there is no disk cache")
    if not os.path.isdir(path):
        fail(f"IMGFORGE_CACHE_DISK_PATH={path!r} is not a directory")
    if not os.access(path, os.R_OK | os.X_OK):
        fail(f"IMGFORGE_CACHE_DISK_PATH={path!r} cannot be read")
    return path


def _fail_on_os_error(path: str, error: OSError) -> NoReturn:
    fail(f"{path}: {os.strerror(error.errno) if error.errno else error}")


def _originals_directory(directory: str) -> str:
    return os.path.join(directory, "originals")


@cache.command(short_help="Count the entries and their bytes.")
@CONFIG
def stats(config_path: str | None) -> None:
    """Print the number of entries and their bytes, for results and for originals, as JSON."""
    directory = _directory(config_path)
    progress = Progress()
    results = _count(directory, "entries", progress)
    originals = _count(_originals_directory(directory), "originals", progress)
    progress.done()
    click.echo(json.dumps(results | {"originals": originals}))


def _count(directory: str, name: str, progress: Progress) -> dict[str, int]:
    from imgforge.cache import entries

    count = size = 0
    for _, status in entries(directory):
        count, size = count + 1, size + status.st_size
        progress.update(f"{count} {name}, {size} bytes")
    return {"entries": count, "bytes": size}


@cache.command(short_help="List the entries of one original.")
@click.option("--source", required=True, help="URL of the original, as given to `imgforge purge`.")
@CONFIG
def find(source: str, config_path: str | None) -> None:
    """List the cached original at --source and the cached results made of it, one line of JSON each.

    Sizes are bytes, ages seconds.
    """
    from imgforge.cache import CorruptEntry, entries, entry_path, original_key, read_metadata

    directory = _directory(config_path)
    progress = Progress()
    read = 0

    def candidates() -> Iterator[tuple[str, str]]:
        yield "original", str(entry_path(_originals_directory(directory), original_key(source)))
        for file, _ in entries(directory):
            yield "result", file.path

    for kind, path in candidates():
        read += 1
        progress.update(f"{read} entries read")
        try:
            key, entry, size = read_metadata(path)
        except (OSError, CorruptEntry):  # removed by the server, or damaged: `verify` reports damage
            continue
        if entry.source == source:
            progress.done()
            description: dict[str, object] = {"key": key.hex(), "kind": kind, "size": size}
            description |= {"age": round(time.time() - entry.stored_at, 1), "format": entry.rendition.format or None}
            click.echo(json.dumps(description | {"content_type": entry.rendition.content_type}))
    progress.done()


@cache.command(short_help="Show the metadata of one entry.")
@click.argument("key")
@CONFIG
def show(key: str, config_path: str | None) -> None:
    """Print the metadata of the entry at KEY, the X-Cache-Key of a response, as JSON; the image itself is not read."""
    from imgforge.cache import KEY_BYTES, CorruptEntry, entry_path, read_metadata
    from imgforge.service import caches_settings

    try:
        key_bytes = bytes.fromhex(key)
    except ValueError:
        key_bytes = b""
    if len(key_bytes) != KEY_BYTES:
        fail(f"{key!r} is not a key: a key has {2 * KEY_BYTES} hexadecimal digits, see X-Cache-Key and `cache find`")
    directory, policies = _directory(config_path), caches_settings(settings_of(config_path))
    for kind, root, policy in (
        ("result", directory, policies.results),
        ("original", _originals_directory(directory), policies.originals),
    ):
        path = entry_path(root, key_bytes)
        try:
            _, entry, size = read_metadata(path)
        except FileNotFoundError:
            continue
        except CorruptEntry as error:
            fail(f"{path}: {error}")
        except OSError as error:
            _fail_on_os_error(str(path), error)
        click.echo(json.dumps(_description(key_bytes, kind, entry, size, policy.fresh_until(entry)), indent=2))
        return
    fail("the disk cache has no such entry")


def _description(key: bytes, kind: str, entry: CacheEntry, size: int, fresh_until: float) -> dict[str, object]:
    """Returns the metadata of *entry* as JSON values; unknown values and times without end are null."""
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
        "created": _rfc3339(entry.stored_at),
        "origin_asked": _rfc3339(entry.asked_at or entry.stored_at),
        "fresh_until": _rfc3339(fresh_until),
        "etag": entry.etag or None,
        "tags": list(entry.tags),
        "source_etag": entry.source_etag or None,
        "source_last_modified": entry.source_last_modified or None,
        "source_cache_control": entry.source_cache_control or None,
        "source_expires": entry.source_expires or None,
        "source_headers": dict(entry.source_headers),
    }


def _rfc3339(seconds: float) -> str | None:
    """Formats *seconds* since the epoch as RFC 3339 says; None for times beyond the calendar, such as infinity."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


@cache.command(short_help="Remove the least recently used entries.")
@click.option(
    "--max-bytes", type=click.IntRange(0), required=True, help="Maximum bytes to keep; 0 removes every entry."
)
@CONFIG
def prune(max_bytes: int, config_path: str | None) -> None:
    """Remove the least recently used entries until the rest takes at most --max-bytes."""
    from imgforge.cache import DiskLimits, SweepOptions, sweep

    path = _directory(config_path)
    progress = Progress()
    directories = 0

    def count_directory() -> bool:
        nonlocal directories
        directories += 1
        progress.update(f"{directories} directories searched")
        return False

    try:
        # DiskLimits takes 0 for "no limit".
        result = sweep(path, DiskLimits(max(1, max_bytes)), SweepOptions(stopping=count_directory))
    except OSError as error:
        _fail_on_os_error(path, error)
    progress.done()
    if result is None:
        fail("another process is evicting entries from this directory: try again later")
    click.echo(json.dumps({"removed": result.removed, "entries": result.entries, "bytes": result.bytes}))


@cache.command(short_help="Check every entry and remove the damaged ones.")
@click.option("--keep", is_flag=True, help="Report damaged entries without removing them.")
@CONFIG
def verify(keep: bool, config_path: str | None) -> None:
    """Read every entry and remove the damaged ones; exit status 1 if any entry was damaged or could not be read."""
    from imgforge.cache import CorruptEntry, OldEntry, entries, read_entry, remove

    counts = {"entries": 0, "bytes": 0, "damaged": 0, "old": 0, "unreadable": 0, "removed": 0}
    progress = Progress()
    for file, status in entries(_directory(config_path)):
        counts["entries"] += 1
        counts["bytes"] += status.st_size
        progress.update(f"{counts['entries']} entries read, {counts['damaged']} damaged")
        try:
            read_entry(file.path, bytes.fromhex(file.name.partition(".")[0]), touch=False)
        except FileNotFoundError:  # removed by the server
            counts["entries"] -= 1
            counts["bytes"] -= status.st_size
        except CorruptEntry as error:
            counts["old" if isinstance(error, OldEntry) else "damaged"] += 1
            progress.done()
            click.echo(f"{file.path}: {error}", err=True)
            counts["removed"] += not keep and remove(file)
        except OSError as error:
            counts["unreadable"] += 1
            progress.done()
            click.echo(f"{file.path}: {os.strerror(error.errno) if error.errno else error}", err=True)
    progress.done()
    click.echo(json.dumps(counts))
    raise SystemExit(1 if counts["damaged"] or counts["unreadable"] else 0)
