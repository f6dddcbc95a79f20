"""Only signed paths are served: no other spelling or algorithm is accepted, and nothing is fetched before the check."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from imgforge.urls import Signer
from tests.support.hostile_world import RawOrigin, serving
from tests.support.pictures import decode
from tests.support.process import Twistd

KEY, SALT = bytes(range(32)), bytes(range(32, 64))
OTHER = bytes(range(64, 96))
SIGNER = Signer(KEY, SALT)


@pytest.fixture(scope="module")
def server() -> Iterator[Twistd]:
    with serving(KEY=KEY.hex(), SALT=SALT.hex(), ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", CACHE_TYPE="memory") as server:
        yield server


def swapped(signature: str) -> str:
    return signature.swapcase()


def raw_digest(path: bytes, key: bytes = KEY, salt: bytes = SALT, kind: str = "sha256") -> bytes:
    return hmac.new(key, salt + path, kind).digest()


def coded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def in_standard_alphabet(path: str) -> str:
    """Signs *path* in standard base64, with a cache buster for which that differs from URL-safe base64.

    A quarter of all signatures are the same in both alphabets.
    """
    paths = (f"/cb:{number}{path}" for number in count())
    texts = ((base64.b64encode(raw_digest(one.encode())).decode().rstrip("="), one) for one in paths)
    return next(f"/{text}{one}" for text, one in texts if "+" in text or "/" in text)


# From a valid signature and its path to a target that must be refused.
FORGERIES: dict[str, Callable[[str, str], str]] = {
    "unsafe": lambda _, p: f"/unsafe{p}",
    "insecure": lambda _, p: f"/insecure{p}",
    "underscore": lambda _, p: f"/_{p}",
    "dash": lambda _, p: f"/-{p}",
    "null": lambda _, p: f"/null{p}",
    "none": lambda _, p: f"/none{p}",
    "escaped unsafe": lambda _, p: f"/%75nsafe{p}",
    "upper unsafe": lambda _, p: f"/UNSAFE{p}",
    "no signature": lambda _, p: p,
    "empty signature": lambda _, p: f"/{p}",
    "padded": lambda s, p: f"/{s}={p}",
    "padded twice": lambda s, p: f"/{s}=={p}",
    "escaped padding": lambda s, p: f"/{s}%3D{p}",
    "cut": lambda s, p: f"/{s[:-1]}{p}",
    "cut to a byte": lambda s, p: f"/{s[:2]}{p}",
    "longer": lambda s, p: f"/{s}A{p}",
    "other case": lambda s, p: f"/{swapped(s)}{p}",
    "last bits": lambda s, p: f"/{s[:-1]}{chr(ord(s[-1]) + 1)}{p}",
    "escaped": lambda s, p: f"/%{ord(s[0]):02x}{s[1:]}{p}",
    "standard alphabet": lambda _, p: in_standard_alphabet(p),
    "in hexadecimal": lambda _, p: f"/{raw_digest(p.encode()).hex()}{p}",
    "without the salt": lambda _, p: f"/{coded(raw_digest(p.encode(), salt=b''))}{p}",
    "salt behind": lambda _, p: f"/{coded(hmac.new(KEY, p.encode() + SALT, 'sha256').digest())}{p}",
    "another key": lambda _, p: f"/{coded(raw_digest(p.encode(), key=OTHER))}{p}",
    "an empty key": lambda _, p: f"/{coded(raw_digest(p.encode(), key=b'', salt=b''))}{p}",
    "the key in hexadecimal": lambda _, p: (
        f"/{coded(raw_digest(p.encode(), KEY.hex().encode(), SALT.hex().encode()))}{p}"
    ),
    "sha1": lambda _, p: f"/{coded(raw_digest(p.encode(), kind='sha1'))}{p}",
    "sha512 cut": lambda _, p: f"/{coded(raw_digest(p.encode(), kind='sha512')[:32])}{p}",
    "plain hash": lambda _, p: f"/{coded(hashlib.sha256(KEY + SALT + p.encode()).digest())}{p}",
    "another option": lambda s, p: f"/{s}{p.replace('w:8', 'w:9')}",
    "one more option": lambda s, p: f"/{s}/h:3{p}",
    "one option less": lambda s, p: f"/{s}{p.replace('/w:8', '')}",
    "another order": lambda s, p: f"/{s}{p.replace('/w:8/h:7', '/h:7/w:8')}",
    "another format": lambda s, p: f"/{s}{p}@webp",
    "escaped option": lambda s, p: f"/{s}{p.replace('w:8', 'w%3A8')}",
    "escaped plain": lambda s, p: f"/{s}{p.replace('plain', '%70lain')}",
    "escaped slash": lambda s, p: f"/{s}{p.replace('/h:7/', '/h:7%2F')}",
    "escaped source": lambda s, p: f"/{s}{p.replace('a.png', '%61.png')}",
    "source in base64": lambda s, p: f"/{s}/w:8/h:7/{coded(p.partition('/plain/')[2].encode())}",
    "doubled slash": lambda s, p: f"/{s}/{p}",
    "doubled slash inside": lambda s, p: f"/{s}{p.replace('/h:7', '//h:7')}",
    "dot segment": lambda s, p: f"/{s}/.{p}",
    "dotdot segment": lambda s, p: f"/{s}/x/..{p}",
    "trailing slash": lambda s, p: f"/{s}{p}/",
    "trailing space": lambda s, p: f"/{s}{p}%20",
    "leading slashes": lambda s, p: f"//{s}{p}",
    "upper case": lambda s, p: f"/{s}{p.upper()}",
    "signature twice": lambda s, p: f"/{s}/{s}{p}",
    "signature behind": lambda s, p: f"{p}/{s}",
    "with a token": lambda s, p: f"/unsafe{p}?signature={s}",
    "signed with its query": lambda _, p: f"/{coded(raw_digest((p + '?x').encode()))}{p}?x",
    "info of an image's path": lambda _, p: f"/info/unsafe{p}",
    "unicode": lambda s, p: f"/{s}%E2%80%8B{p}",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_forgery_is_served_or_fetched(server: Twistd, origin: RawOrigin, name: str) -> None:
    path = f"/w:8/h:7/plain/{origin.url('/a.png')}"
    before = len(origin.requests)
    reply = server.get(FORGERIES[name](SIGNER.signature(path.encode()).decode(), path))
    assert reply.status in {400, 403}, reply.body
    assert len(origin.requests) == before


def test_forgeries_are_refused_also_while_the_image_is_cached(server: Twistd, origin: RawOrigin) -> None:
    """The image is in the cache and in the fast lane."""
    path = f"/w:8/h:7/plain/{origin.url('/a.png')}"
    for _ in range(3):
        assert decode(server.get(SIGNER.sign(path)).body).size == (8, 5)
    for name, forged in FORGERIES.items():
        assert server.get(forged(SIGNER.signature(path.encode()).decode(), path)).status in {400, 403}, name


def test_the_query_is_not_signed(server: Twistd, origin: RawOrigin) -> None:
    path = f"/w:8/h:7/plain/{origin.url('/a.png')}"
    assert server.get(f"{SIGNER.sign(path)}?w:9").status == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"KEY": ""},
        {"KEY": "xyz"},
        {"KEY": "abc"},
        {"KEY": "00" * 32, "SALT": ""},
        {"KEY": "00" * 32},
        {"SALT": "00" * 32},
        {"KEY": "00,11", "SALT": "22"},
        {"KEY": "00" * 32, "SALT": "00" * 32, "SIGNATURE_SIZE": "0"},
        {"KEY": "00" * 32, "SALT": "00" * 32, "SIGNATURE_SIZE": "-1"},
        {"KEY": "00" * 32, "SALT": "00" * 32, "SIGNATURE_SIZE": "33"},
        {"KEY": "00" * 32, "SALT": "00" * 32, "SIGNATURE_SIZE": "x"},
    ],
    ids=str,
)
def test_the_server_does_not_start_with_incomplete_or_invalid_signing_settings(settings: dict[str, str]) -> None:
    server = Twistd({"PROCESSES": "1"} | settings, ("--bind", "0.0.0.0:0"))
    try:
        server.launch()
        process = server.process
        assert process is not None
        assert process.wait(60) != 0
        assert "IMGFORGE_" in server.output()
    finally:
        server.clean()
