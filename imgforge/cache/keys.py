"""The names of cache entries: a hash of what decides a rendition's bytes, however the URL was written.

The first part stands for the URL, the second for the variant that a client gets of it: all variants of a URL lie side
by side, and can be removed together without a search.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from imgforge.model import ImageRequest

__all__ = ["KEY_BYTES", "URL_BYTES", "entry_key", "fingerprint", "original_key"]

KEY_BYTES = 32
# Of them, those that all variants of a URL have in common.
URL_BYTES = 20

_encode = msgspec.msgpack.Encoder().encode


def fingerprint(*parts: object) -> bytes:
    """What stands for all settings and versions that change pixels; entries made under another are not found."""
    return blake2b(repr(parts).encode("utf-8"), digest_size=16).digest()


def entry_key(
    request: ImageRequest, accepted: tuple[str, ...], settings: bytes, client: tuple[str | None, ...] = ()
) -> bytes:
    """The key, 32 bytes, of the rendition that *request* asks for; *settings* is a `fingerprint`.

    *accepted* are the formats that the client takes, *client* what else is its own; of what the origin is told of the
    client there may be another picture, too. Cache tags count, so that an entry
    has all the tags of the URL that it answers. msgpack writes lengths before values, so that no two different requests
    have the same encoding. Some 10 us.
    """
    delivery = request.delivery
    url = (
        settings,
        request.source,
        request.options,
        request.chained,
        delivery.cachebuster,
        sorted(set(delivery.cache_tags)),
    )
    variant: tuple[object, ...] = (accepted, client, request.passed)
    if any(request.hints):
        variant = (*variant, request.hints)
    return (
        blake2b(_encode(url), digest_size=URL_BYTES).digest()
        + blake2b(_encode(variant), digest_size=KEY_BYTES - URL_BYTES).digest()
    )


def original_key(source: str) -> bytes:
    """The key of the original at *source*, whatever is made of it."""
    return blake2b(source.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES, person=b"original").digest()
