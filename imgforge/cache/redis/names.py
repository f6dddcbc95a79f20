"""The names of the tier's keys in Redis. All begin with `imgforge:`, so that a user of Redis can be kept to them."""

from __future__ import annotations

import re

from imgforge.cache.keys import KEY_BYTES

__all__ = ["ENTRIES", "PURGES", "entry_name", "key_of", "lease_name", "outcome_name"]

_PREFIX = b"imgforge:"
# What the names of entries begin with.
ENTRIES = _PREFIX + b"entry:"
# The stream of purges.
PURGES = _PREFIX + b"purges"

_ENTRY = re.compile(re.escape(ENTRIES) + b"([0-9a-f]{%d})" % (2 * KEY_BYTES))


def entry_name(key: bytes) -> bytes:
    """The name of the entry under *key*, a string: `imgforge:entry:` and the X-Cache-Key of responses."""
    return ENTRIES + key.hex().encode("ascii")


def lease_name(key: bytes) -> bytes:
    """The name of the lease of *key*: a string, the token of the process that makes the entry."""
    return _PREFIX + b"lease:" + key.hex().encode("ascii")


def outcome_name(key: bytes) -> bytes:
    """The name under which it is told how work on *key* ended that left no entry: a string."""
    return _PREFIX + b"outcome:" + key.hex().encode("ascii")


def key_of(name: bytes) -> bytes | None:
    """The key of the entry called *name*; None where that is no name of an entry."""
    found = _ENTRY.fullmatch(name)
    return bytes.fromhex(found[1].decode("ascii")) if found else None
