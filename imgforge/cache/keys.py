"""The keys of cache entries: a hash of all that decides a result's bytes, the same however the URL is written.

The first part stands for the URL, the second for the variant of it that a client gets: all variants of a URL are in one
directory, and can be removed together without a search.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from imgforge.model import ImageRequest, InfoRequest

__all__ = ["KEY_BYTES", "URL_BYTES", "entry_key", "fingerprint", "info_key", "original_key"]

KEY_BYTES = 32
# The first bytes of a key, which all variants of a URL have in common.
URL_BYTES = 20

_encode = msgspec.msgpack.Encoder().encode


def fingerprint(*parts: object) -> bytes:
    """A hash of all settings and versions that change pixels; entries made under others are not found."""
    return blake2b(repr(parts).encode("utf-8"), digest_size=16).digest()


def entry_key(
    request: ImageRequest, accepted: tuple[str, ...], settings: bytes, client: tuple[str | None, ...] = ()
) -> bytes:
    """The key, 32 bytes, of the result that *request* asks for; *settings* is a `fingerprint`.

    *accepted* are the formats that the client accepts, *client* the values of headers and cookies that the operator
    makes a part of keys. The headers that are passed to the origin count, for it may answer them with another image.
    Cache tags count, so that an entry has all the tags of its URL. msgpack writes lengths before values, so that no two
    different requests have the same encoding. Takes some 10 us.
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


def info_key(request: InfoRequest, settings: bytes, client: tuple[str | None, ...] = ()) -> bytes:
    """The key, 32 bytes, of the answer of `/info` to *request*; arguments as for `entry_key`, whose keys are others."""
    delivery = request.delivery
    url = settings, request.source, request.options, delivery.cachebuster, sorted(set(delivery.cache_tags))
    return (
        blake2b(_encode(url), digest_size=URL_BYTES, person=b"info").digest()
        + blake2b(_encode((client, request.passed)), digest_size=KEY_BYTES - URL_BYTES, person=b"info").digest()
    )


def original_key(source: str) -> bytes:
    """The key, 32 bytes, of the original at *source*."""
    return blake2b(source.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES, person=b"original").digest()
