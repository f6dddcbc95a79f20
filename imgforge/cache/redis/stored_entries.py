"""The entries of a Redis as they lie there: all of them in turn, and their metadata without their bodies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from imgforge.cache.entry_format import HEAD_BYTES, CorruptEntry, decode_header, read_head
from imgforge.cache.redis.client import RedisClient
from imgforge.cache.redis.faults import RedisFault
from imgforge.cache.redis.names import ENTRIES, key_of
from imgforge.model import CacheEntry

__all__ = ["StoredEntry", "batches", "leave_untouched", "read_metadata"]

# Keys that the server looks at for one answer: some milliseconds of its time.
_SCANNED = 500
_USUAL_HEADER = 1024


class StoredEntry(NamedTuple):
    """An entry without its body, and the bytes of the body; what was damaged has no such thing."""

    key: bytes
    entry: CacheEntry
    size: int


def leave_untouched(client: RedisClient) -> None:
    """Have the only connection of *client* mark no entry as used, where the server can (Redis 7.2, Valkey)."""
    with suppress(RedisFault), client.session() as redis:
        redis.execute_command("CLIENT", "NO-TOUCH", "ON")


def batches(client: RedisClient, beginning: str = "") -> Iterator[list[bytes]]:
    """The names of all entries whose keys, in hexadecimal, begin so; `RedisFault`."""
    pattern = ENTRIES + beginning.encode("ascii") + b"*"
    cursor = 0
    while True:
        with client.session() as redis:
            answer: Any = redis.scan(cursor, match=pattern, count=_SCANNED)
        cursor, names = answer
        yield [name for name in names if key_of(name) is not None]
        if cursor == 0:
            return


def read_metadata(client: RedisClient, names: Sequence[bytes]) -> list[StoredEntry | CorruptEntry | None]:
    """What is stored under each of *names*; None for nothing. The checksums are not checked."""
    starts = _beginnings(client, [(name, HEAD_BYTES + _USUAL_HEADER) for name in names])
    long: list[tuple[int, int]] = []
    for index, start in enumerate(starts):
        with suppress(CorruptEntry):
            length = HEAD_BYTES + read_head(start[:HEAD_BYTES]).header
            if length > len(start) == HEAD_BYTES + _USUAL_HEADER:
                long.append((index, length))
    longer = _beginnings(client, [(names[index], length) for index, length in long])
    for (index, _), start in zip(long, longer, strict=True):
        starts[index] = start
    return [_metadata(name, start) if start else None for name, start in zip(names, starts, strict=True)]


def _metadata(name: bytes, start: bytes) -> StoredEntry | CorruptEntry:
    try:
        head = read_head(start[:HEAD_BYTES])
        key, entry = decode_header(head, start[HEAD_BYTES : HEAD_BYTES + head.header])
    except CorruptEntry as error:
        return error
    if key != key_of(name):
        return CorruptEntry("it belongs to another key")
    return StoredEntry(key, entry, head.body)


def _beginnings(client: RedisClient, wanted: Sequence[tuple[bytes, int]]) -> list[bytes]:
    if not wanted:
        return []
    with client.session() as redis, redis.pipeline(transaction=False) as pipeline:
        for name, length in wanted:
            pipeline.getrange(name, 0, length - 1)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
    # A value of another type is none of ours.
    return [answer if isinstance(answer, bytes) else b"" for answer in answers]
