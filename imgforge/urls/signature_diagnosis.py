"""Why a signature is wrong: the usual mistakes of programs that sign, one row each, and the search for those that fit.

A signature takes four steps, each of which has a table here: the choice of key and salt, the order of salt and path,
the text of the path, the encoding of the digest. The first row of a table is the right way. All combinations are tried
and the one with the fewest mistakes is reported; a wrong key fits none. The report reveals nothing about the keys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, ParamSpec, TypeVar
from urllib.parse import quote, unquote

from imgforge.urls.options import BY_NAME, PRESET_NAMES

__all__ = ["SignedUrl", "signature_mistakes", "signing_pair"]

Pair = tuple[bytes, bytes]
_Arguments = ParamSpec("_Arguments")
_Made = TypeVar("_Made")

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_SHORTEST = 6  # characters; a shorter signature may fit by chance
_COMMON_PREFIX = 4  # characters that any two truncations of a digest share
_DIGEST = 32  # bytes
# Characters that programs do not percent-encode in a path.
_SAFE = ("/", "/:", "/:@", "/:%", "/:@%", "/:@?&=+,;%")
_MOST_SLASHES = 8  # in a signature in standard base64


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """The parts of a signed URL, undecoded; `path` is the part to sign, from the slash after the signature on."""

    origin: str
    prefix: str
    endpoint: str
    signature: str
    path: str
    query: str

    @classmethod
    def parse(cls, text: str, path_prefix: str = "") -> SignedUrl:
        """The parts of a whole URL or of a target, for a server with *path_prefix*."""
        match = _ORIGIN.match(text)
        origin = match[0] if match else ""
        rest, _, query = text[len(origin) :].partition("?")
        if origin:  # browsers do not send the fragment of a URL
            rest, query = rest.partition("#")[0], query.partition("#")[0]
        rest = f"/{rest.removeprefix('/')}"
        before = path_prefix.rstrip("/")
        prefix = before if before and rest.startswith(f"{before}/") else ""
        rest = rest[len(prefix) :]
        endpoint = "/info" if rest.startswith("/info/") else ""
        signature, slash, path = rest[len(endpoint) + 1 :].partition("/")
        return cls(origin, prefix, endpoint, signature, slash + path, query)

    @property
    def target(self) -> str:
        """The request target that a client sends."""
        return f"{self.prefix}{self.endpoint}/{self.signature}{self.path}" + (f"?{self.query}" if self.query else "")

    def splits(self) -> Iterator[SignedUrl]:
        """The URL itself, and with one, two... more slashes in its signature (standard base64 has slashes)."""
        signature, path = self.signature, self.path
        for _ in range(_MOST_SLASHES):
            yield replace(self, signature=signature, path=path)
            part, slash, rest = path[1:].partition("/")
            if not slash or ":" in part:
                return
            signature, path = f"{signature}/{part}", f"/{rest}"


@dataclass(frozen=True, slots=True)
class _Way(Generic[_Arguments, _Made]):
    """One way to take a step: the mistake (empty for the right way), and its possible results."""

    mistake: str
    make: Callable[_Arguments, Iterable[_Made]]


def _text(value: bytes) -> tuple[bytes, bytes]:
    """The hexadecimal digits of *value*, which a program may have used instead of the value."""
    return value.hex().encode(), value.hex().upper().encode()


_PAIRS: tuple[_Way[[tuple[Pair, ...]], Pair], ...] = (
    _Way("", lambda pairs: pairs),
    _Way(
        "the key was used as hexadecimal text: it must be decoded to bytes first",
        lambda pairs: [(text, salt) for key, salt in pairs for text in _text(key)],
    ),
    _Way(
        "the salt was used as hexadecimal text: it must be decoded to bytes first",
        lambda pairs: [(key, text) for key, salt in pairs for text in _text(salt)],
    ),
    _Way(
        "the key and the salt were used as hexadecimal text: they must be decoded to bytes first",
        lambda pairs: [pair for key, salt in pairs for pair in zip(_text(key), _text(salt), strict=True)],
    ),
    _Way("the key and the salt were swapped", lambda pairs: [(salt, key) for key, salt in pairs]),
    _Way(
        "the key of one pair was used with the salt of another: the first key belongs to the first salt, and so on",
        lambda pairs: [(key, salt) for (key, _), (_, salt) in itertools.permutations(pairs, 2)],
    ),
)

_ORDERS: tuple[_Way[[bytes, bytes], bytes], ...] = (
    _Way("", lambda salt, path: [salt + path]),
    _Way("the salt was left out: the signed text is the salt followed by the path", lambda _, path: [path]),
    _Way("the salt was put after the path: it belongs before it", lambda salt, path: [path + salt]),
)

_PATHS: tuple[_Way[[SignedUrl], str], ...] = (
    _Way("", lambda url: [url.path]),
    _Way(
        "the path was signed without its leading slash: the signed text begins with the slash after the signature",
        lambda url: [url.path[1:]],
    ),
    _Way(
        "the whole URL was signed: only the path after the signature is signed, from its slash on",
        lambda url: [url.origin + url.prefix + url.endpoint + url.path, url.origin + url.path] if url.origin else [],
    ),
    _Way(
        "the query was signed as well: the signed text ends before it",
        lambda url: [f"{url.path}?{url.query}"] if url.query else [],
    ),
    _Way(
        "the path prefix was signed as well: the signed text begins after the signature",
        lambda url: [url.prefix + url.endpoint + url.path] if url.prefix else [],
    ),
    _Way(
        "/info was signed as well: the signed text begins after the signature",
        lambda url: [url.endpoint + url.path] if url.endpoint else [],
    ),
    _Way(
        "the path was signed with a slash at its end, which is not in the URL",
        lambda url: [f"{url.path}/"],
    ),
    _Way(
        "the path was signed without the slash at its end, which is in the URL",
        lambda url: [url.path.rstrip("/")] if url.path.endswith("/") else [],
    ),
    _Way(
        "the path was percent-encoded (once more) after it was signed: sign the path as it is sent",
        lambda url: [once := unquote(url.path), unquote(once)],
    ),
    _Way(
        "the path was decoded on its way, or signed in another percent-encoding: sign the path as it is sent",
        lambda url: [url.path.replace("%", "%25"), *(quote(url.path, safe=safe) for safe in _SAFE)],
    ),
)


def _url_safe(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode("ascii")


_ENCODINGS: tuple[_Way[[bytes], str], ...] = (
    _Way("", lambda digest: [_url_safe(digest).rstrip("=")]),
    _Way(
        "the signature is padded: remove the = at its end",
        lambda digest: [_url_safe(digest)],
    ),
    _Way(
        "the signature is in standard base64: it must be URL-safe (- and _ for + and /) and without padding",
        lambda digest: [(text := base64.b64encode(digest).decode("ascii")).rstrip("="), text],
    ),
    _Way(
        "the signature is in hexadecimal: it must be the digest's bytes in URL-safe base64",
        lambda digest: [digest.hex(), digest.hex().upper()],
    ),
    _Way(
        "the signature is base64 of the digest's hexadecimal text: it must be base64 of its bytes",
        lambda digest: [(text := _url_safe(digest.hex().encode())), text.rstrip("=")],
    ),
)

_EXPECTED = "this server expects {size} bytes of the digest (IMGFORGE_SIGNATURE_SIZE)"
_FULL_LENGTH = "the signature has all bytes of the digest: " + _EXPECTED
_TRUNCATED = "the signature was truncated to {length} bytes: " + _EXPECTED
_TRUNCATED_TEXT = "the signature was truncated after it was encoded: " + _EXPECTED


def signing_pair(url: SignedUrl, pairs: Iterable[Pair], size: int) -> int:
    """The number, from 1 on, of the pair whose valid signature *url* has; 0 for none."""
    for number, (key, salt) in enumerate(pairs, 1):
        digest = hmac.digest(key, salt + url.path.encode(), hashlib.sha256)
        if _url_safe(digest[:size]).rstrip("=") == url.signature:
            return number
    return 0


def signature_mistakes(url: SignedUrl, pairs: Iterable[Pair], size: int) -> tuple[str, ...]:
    """The mistakes in the signature of *url* by one of *pairs*, a line each; empty where no known mistake fits.

    *size* is the number of bytes of the digest in this server's signatures.
    """
    pairs = tuple(pairs)
    if url.signature.partition(":")[0] in {*BY_NAME, *PRESET_NAMES} and ":" in url.signature:
        return ("the signature is missing: the path begins with an option",)
    if url.signature in {"plain", "enc"}:
        return ("the signature is missing: the path begins with the source",)
    if url.signature in {"unsafe", "insecure"}:
        return (f"{url.signature!r} is in the signature's place: the path is not signed",)
    found = (
        (*filter(None, (pair.mistake, order.mistake, path.mistake)), *encoding)
        for one in url.splits()
        for pair, order, path in itertools.product(_PAIRS, _ORDERS, _PATHS)
        for digest in _digests(one, pairs, pair, order, path)
        if (encoding := _encoding_mistakes(one.signature, digest, size)) is not None
    )
    return min(found, key=len, default=())


def _digests(
    one: SignedUrl,
    pairs: tuple[Pair, ...],
    pair: _Way[[tuple[Pair, ...]], Pair],
    order: _Way[[bytes, bytes], bytes],
    path: _Way[[SignedUrl], str],
) -> Iterator[bytes]:
    for key, salt in pair.make(pairs):
        for text in path.make(one):
            for message in order.make(salt, text.encode()):
                yield hmac.digest(key, message, hashlib.sha256)


def _encoding_mistakes(signature: str, digest: bytes, size: int) -> tuple[str, ...] | None:
    """The mistakes in *signature* as the text of *digest*; None where it is not such a text."""
    plain = unquote(signature)
    # The text of a truncated digest begins as that of the whole one, except its last characters.
    near = [
        way for way in _ENCODINGS if any(whole[:_COMMON_PREFIX] == plain[:_COMMON_PREFIX] for whole in way.make(digest))
    ]
    if len(plain) < _SHORTEST or not near:
        return None
    escaped = () if plain == signature else ("the signature is percent-encoded: it must be sent unencoded",)
    for length in (size, *(number for number in range(_DIGEST, 0, -1) if number != size)):
        for way in near:
            if plain in way.make(digest[:length]):
                message = _FULL_LENGTH if length == _DIGEST else _TRUNCATED
                truncation = () if length == size else (message.format(length=length, size=size),)
                return *((way.mistake,) if way.mistake else escaped), *truncation
    if any(whole.startswith(plain) for way in near for whole in way.make(digest)):
        return (_TRUNCATED_TEXT.format(size=size),)
    return None
