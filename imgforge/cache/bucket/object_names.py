"""The names of the tier's objects: `[prefix/]<key>` for an entry, `[prefix/]purges/<time>-<random>.json` for a purge.

An entry's name begins with the hash that is its key: stores spread such names over their servers, and all variants of a
URL, whose keys have their first bytes in common, are found by one listing.
"""

from __future__ import annotations

import os
import re

from imgforge.cache.keys import KEY_BYTES

__all__ = ["SHARDS", "ObjectNames"]

SHARDS = tuple("0123456789abcdef")  # the entries whose names begin with one of these are all entries
_ENTRY = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")
_PURGE = re.compile(r"[0-9]{13}-[0-9a-f]{16}\.json")
_LATEST = 10**13 - 1  # milliseconds, of which a name has 13 digits


class ObjectNames:
    """The names below *prefix*."""

    def __init__(self, prefix: str) -> None:
        self._root = f"{prefix}/" if prefix else ""
        self.purges = f"{self._root}purges/"  # with which the names of purges begin
        self.swept = f"{self.purges}swept"  # the object whose age is that of the last sweep

    def entry(self, key: bytes) -> str:
        """The name of the entry under *key*."""
        return self._root + key.hex()

    def entries(self, start: str) -> str:
        """What the names of the entries begin with whose keys begin with the hexadecimal digits *start*."""
        return self._root + start

    def key(self, name: str) -> bytes | None:
        """The key of the entry called *name*; None where no entry has such a name."""
        digits = name.removeprefix(self._root)
        return bytes.fromhex(digits) if name.startswith(self._root) and _ENTRY.fullmatch(digits) else None

    def new_purge(self, at: float) -> str:
        """A name, not used before, for a purge *at* that time, in seconds since the epoch."""
        return f"{self.purges}{min(max(0, int(at * 1000)), _LATEST):013}-{os.urandom(8).hex()}.json"

    def is_purge(self, name: str) -> bool:
        """Whether a purge has such a name."""
        return name.startswith(self.purges) and bool(_PURGE.fullmatch(name.removeprefix(self.purges)))
