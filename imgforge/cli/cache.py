"""`imgforge cache`: inspects and cleans up the disk cache, or the one that a fleet shares, while servers use it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from imgforge.cli.common import CONFIG, Progress, fail, rfc3339, settings_of

if TYPE_CHECKING:
    from imgforge.cache import Inventory
    from imgforge.config import Settings
    from imgforge.model import CacheEntry

__all__ = ["cache"]


SHARED = click.option(
    "--shared",
    is_flag=True,
    help="The cache that the nodes of a fleet share (IMGFORGE_CACHE_USE), also where this node has a disk cache.",
)


@click.group(short_help="Inspect and clean up the disk cache or the shared cache.")
def cache() -> None:
    """Inspect and clean up the disk cache (IMGFORGE_CACHE_DISK_PATH), also while a server uses it.

    Without a disk cache, or with --shared, it is the cache that the nodes of a fleet share (IMGFORGE_CACHE_USE).
    """


def _directory(path: str) -> str:
    if not path:
        fail("IMGFORGE_CACHE_DISK_PATH is not set, so that there is no disk cache")
    if not os.path.isdir(path):
        fail(f"IMGFORGE_CACHE_DISK_PATH={path!r} is not a directory")
    if not os.access(path, os.R_OK | os.X_OK):
        fail(f"IMGFORGE_CACHE_DISK_PATH={path!r} cannot be read")
    return path


@contextmanager
def _opened(config_path: str | None, shared: bool) -> Iterator[dict[str, Inventory]]:
    """The inventories by what they hold: results, and originals on disk. A medium that refuses ends the program."""
    from imgforge.cache import DiskInventory

    settings = settings_of(config_path)
    path = settings.prepare_cache()[1]
    held: dict[str, Inventory] = {}
    if shared or (settings.cache_use and not path):
        held["result"] = _shared_inventory(settings)
    else:
        directory = _directory(path)
        held["result"] = DiskInventory(directory)
        held["original"] = DiskInventory(os.path.join(directory, "originals"))
    results = held["result"]
    with closing(results):
        try:
            yield held
        except BrokenPipeError:  # nobody reads the output any more: click ends the program
            raise
        except OSError as error:
            text = _text(error)
            fail(text if text.startswith(results.place) else f"{results.place}: {text}")


def _shared_inventory(settings: Settings) -> Inventory:
    from imgforge.cache import shared_inventory
    from imgforge.service import shared_tier_settings

    if not settings.cache_use:
        fail("IMGFORGE_CACHE_USE is not set, so that there is no shared cache")
    try:
        return shared_inventory(shared_tier_settings(settings))
    except ValueError as error:
        fail(str(error))


def _text(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


@cache.command(short_help="Count the entries and their bytes.")
@SHARED
@CONFIG
def stats(shared: bool, config_path: str | None) -> None:
    """Print the number of entries and their bytes, for results and for originals, as JSON."""
    progress = Progress()
    with _opened(config_path, shared) as held:
        counts: dict[str, object] = dict(_count(held["result"], "entries", progress))
        if "original" in held:
            counts["originals"] = _count(held["original"], "originals", progress)
    progress.done()
    click.echo(json.dumps(counts))


def _count(inventory: Inventory, name: str, progress: Progress) -> dict[str, int]:
    count = size = 0
    for entry in inventory.walk():
        count, size = count + 1, size + entry.bytes
        progress.update(f"{count} {name}, {size} bytes")
    return {"entries": count, "bytes": size}


@cache.command(short_help="List the entries of one original.")
@click.option("--source", required=True, help="URL of the original, as given to `imgforge purge`.")
@SHARED
@CONFIG
def find(source: str, shared: bool, config_path: str | None) -> None:
    """List the cached original at --source and the cached results made of it, one line of JSON each.

    Sizes are bytes, ages seconds.
    """
    from imgforge.cache import CorruptEntry, original_key

    progress = Progress()
    read = 0

    def candidates(held: dict[str, Inventory]) -> Iterator[tuple[str, Inventory, bytes]]:
        if "original" in held:
            yield "original", held["original"], original_key(source)
        for listed in held["result"].walk():
            yield "result", held["result"], listed.key

    with _opened(config_path, shared) as held:
        for kind, inventory, key in candidates(held):
            read += 1
            progress.update(f"{read} entries read")
            try:
                entry, size = inventory.read_metadata(key)
            except (OSError, CorruptEntry):  # removed by the server, or damaged: `verify` reports damage
                continue
            if entry.source == source:
                progress.done()
                description: dict[str, object] = {"key": key.hex(), "kind": kind, "size": size}
                description |= {"age": round(time.time() - entry.stored_at, 1)}
                description |= {"format": entry.rendition.format or None, "content_type": entry.rendition.content_type}
                click.echo(json.dumps(description))
    progress.done()


@cache.command(short_help="Show the metadata of one entry.")
@click.argument("key")
@SHARED
@CONFIG
def show(key: str, shared: bool, config_path: str | None) -> None:
    """Print the metadata of the entry at KEY, the X-Cache-Key of a response, as JSON; the image itself is not read."""
    from imgforge.cache import KEY_BYTES, CorruptEntry
    from imgforge.service import caches_settings

    try:
        key_bytes = bytes.fromhex(key)
    except ValueError:
        key_bytes = b""
    if len(key_bytes) != KEY_BYTES:
        fail(f"{key!r} is not a key: a key has {2 * KEY_BYTES} hexadecimal digits, see X-Cache-Key and `cache find`")
    policies = caches_settings(settings_of(config_path))
    with _opened(config_path, shared) as held:
        for kind, inventory in held.items():
            policy = policies.results if kind == "result" else policies.originals
            try:
                entry, size = inventory.read_metadata(key_bytes)
            except FileNotFoundError:
                continue
            except CorruptEntry as error:
                fail(f"{inventory.name_of(key_bytes)}: {error}")
            click.echo(json.dumps(_description(key_bytes, kind, entry, size, policy.fresh_until(entry)), indent=2))
            return
    fail("the cache has no such entry")


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
        "created": rfc3339(entry.stored_at),
        "origin_asked": rfc3339(entry.asked_at or entry.stored_at),
        "fresh_until": rfc3339(fresh_until),
        "etag": entry.etag or None,
        "tags": list(entry.tags),
        "source_etag": entry.source_etag or None,
        "source_last_modified": entry.source_last_modified or None,
        "source_cache_control": entry.source_cache_control or None,
        "source_expires": entry.source_expires or None,
        "source_headers": dict(entry.source_headers),
    }


@cache.command(short_help="Remove the least recently used entries.")
@click.option(
    "--max-bytes", type=click.IntRange(0), required=True, help="Maximum bytes to keep; 0 removes every entry."
)
@SHARED
@CONFIG
def prune(max_bytes: int, shared: bool, config_path: str | None) -> None:
    """Remove the least recently used entries until the rest takes at most --max-bytes."""
    progress = Progress()
    with _opened(config_path, shared) as held:
        result = held["result"].prune(max_bytes, progress.update)
    progress.done()
    if result is None:
        fail("another process is evicting entries from this cache: try again later")
    click.echo(json.dumps({"removed": result.removed, "entries": result.entries, "bytes": result.bytes}))


@cache.command(short_help="Check every entry and remove the damaged ones.")
@click.option("--keep", is_flag=True, help="Report damaged entries without removing them.")
@SHARED
@CONFIG
def verify(keep: bool, shared: bool, config_path: str | None) -> None:
    """Read every entry and remove the damaged ones; exit status 1 if any entry was damaged or could not be read."""
    progress = Progress()
    with _opened(config_path, shared) as held:
        counts = _verify(held["result"], keep, progress)
    progress.done()
    click.echo(json.dumps(counts))
    raise SystemExit(1 if counts["damaged"] or counts["unreadable"] else 0)


def _verify(inventory: Inventory, keep: bool, progress: Progress) -> dict[str, int]:
    from imgforge.cache import CorruptEntry, OldEntry

    counts = {"entries": 0, "bytes": 0, "damaged": 0, "old": 0, "unreadable": 0, "removed": 0}
    for listed in inventory.walk():
        counts["entries"] += 1
        counts["bytes"] += listed.bytes
        progress.update(f"{counts['entries']} entries read, {counts['damaged']} damaged")
        try:
            inventory.read(listed.key)
        except FileNotFoundError:  # removed by the server
            counts["entries"] -= 1
            counts["bytes"] -= listed.bytes
        except CorruptEntry as error:
            counts["old" if isinstance(error, OldEntry) else "damaged"] += 1
            progress.done()
            click.echo(f"{inventory.name_of(listed.key)}: {error}", err=True)
            counts["removed"] += not keep and inventory.remove(listed.key)
        except OSError as error:
            counts["unreadable"] += 1
            progress.done()
            click.echo(f"{inventory.name_of(listed.key)}: {_text(error)}", err=True)
    return counts
