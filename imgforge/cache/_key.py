"""The names of cache entries: a hash of what decides a rendition's bytes, however the URL was written."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from imgforge.model import ImageRequest

__all__ = ["KEY_BYTES", "entry_key", "fingerprint"]

KEY_BYTES = 32

_encode = msgspec.msgpack.Encoder().encode


def fingerprint(*parts: object) -> bytes:
    """What stands for all settings and versions that change pixels; entries made under another are not found."""
    return blake2b(repr(parts).encode("utf-8"), digest_size=16).digest()


def entry_key(request: ImageRequest, accepted: tuple[str, ...], settings: bytes) -> bytes:
    """The key, 32 bytes, of the rendition that *request* asks for; *settings* is a `fingerprint`.

    msgpack writes lengths before values, so that no two different requests have the same encoding. Some 10 us.
    """
    decisive = (settings, request.source, request.options, request.then, request.delivery.cachebuster, accepted)
    return blake2b(_encode(decisive), digest_size=KEY_BYTES).digest()
