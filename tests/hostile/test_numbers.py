"""Malformed numbers get 400, and huge numbers and lists are rejected or harmless."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hostile_world import RawOrigin, ask, serving
from tests.support.process import Twistd

MALFORMED = (
    "nan",
    "NaN",
    "-nan",
    "inf",
    "-inf",
    "+Infinity",
    "infinity",
    "1e5",
    "1E5",
    "1e400",
    "1e-400",
    "-1e308",
    "0x10",
    "0b1",
    "0o7",
    "1_000",
    "1,5",
    "1 ",
    " 1",
    "1.5.5",
    "--1",
    "+-1",
    "1-",
    "\u0663",
    "\uff11",
    "\u00b2",
    "\u0967",
    "\u2460",
    "\u00bd",
    "1\u00a0",
    "1\u200b",
    "9" * 19,
    "9" * 400,
    "-" + "9" * 400,
    "9" * 4000,
    "1." + "9" * 400,
    "0" * 5000 + "1",
    "true",
    "None",
    "a",
    ".",
    "-",
    "+",
    "%2500",
    "1%0a",
    "1f",
    "1L",
    "1j",
    "(1)",
    "1/0",
    "$1",
    "1;2",
)
# Options with {} in place of a number.
PLACES = (
    "w:{}",
    "h:{}",
    "rs:fit:{}",
    "rs:fit:1:{}",
    "s:{}:{}",
    "mw:{}",
    "mh:{}",
    "z:{}",
    "z:1:{}",
    "dpr:{}",
    "ex:1:ce:{}:{}",
    "exar:1:ce:{}",
    "g:ce:{}",
    "g:ce:1:{}",
    "g:fp:{}:{}",
    "g:fp:0.5:{}",
    "c:{}",
    "c:1:{}",
    "c:1:1:ce:{}",
    "t:{}",
    "pd:{}",
    "pd:1:{}",
    "pd:1:1:1:{}",
    "rot:{}",
    "bg:{}:1:1",
    "bg:1:1:{}",
    "bl:{}",
    "sh:{}",
    "pix:{}",
    "wm:{}",
    "wm:1:ce:{}",
    "wm:1:ce:1:1:{}",
    "q:{}",
    "fq:webp:{}",
    "mb:{}",
    "exp:{}",
    "br:{}",
    "co:{}",
    "sa:{}",
    "a:{}:1:1",
    "pg:{}",
    "pgs:{}",
    "dpi:{}",
    "rc:{}",
    "wmsh:{}",
    "wmr:{}",
    "bga:{}",
    "msr:{}",
    "msfs:{}",
    "maf:{}",
    "mrd:{}",
)
HUGE = (  # beyond 31, 32 and 53 bits
    "999999999",
    "1000000000",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "-1",
    "-2147483649",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Twistd]:
    with serving(
        ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", ALLOW_SECURITY_OPTIONS="true", TIMEOUT="20", WORKERS="2"
    ) as server:
        yield server


@pytest.mark.parametrize("place", PLACES)
def test_malformed_numbers_are_rejected_with_400_before_any_fetch(
    server: Twistd, origin: RawOrigin, place: str
) -> None:
    before = len(origin.requests)
    wrong = []
    for text in MALFORMED:
        reply = server.get(f"/unsafe/{quoted(place, text)}/plain/{origin.url('/a.png')}@png")
        if reply.status != 400 or reply.body.count(b"\n") != 1 or len(reply.body) > 20_000:
            wrong.append((text[:20], reply.status, reply.body[:80]))
    assert not wrong
    assert len(origin.requests) == before


def quoted(place: str, value: str) -> str:
    escaped = "".join(f"%{byte:02X}" if byte > 126 or byte in b' #?/"<>' else chr(byte) for byte in value.encode())
    return place.replace("{}", escaped)


@pytest.mark.parametrize("place", PLACES)
def test_huge_and_negative_numbers_give_an_image_or_a_4xx(server: Twistd, origin: RawOrigin, place: str) -> None:
    for huge in HUGE:
        status = server.get(f"/unsafe/{quoted(place, huge)}/plain/{origin.url('/a.png')}@png").status
        assert status in {200, 400, 403, 404, 422}, (place, huge, status)


MANY = {
    "arguments": "w:" + ":".join("1" * 3000),
    "empty arguments": "rs" + ":" * 3000,
    "options": "/".join(["w:1"] * 2000),
    "presets": "pr" + ":x" * 3000,
    "pipelines": "/-/".join(["w:1"] * 500),
    "tags": "ct" + ":a" * 7000,
    "gravity": "g" + ":1" * 3000,
    "effects": "pd" + ":1" * 3000,
    "formats": "fq" + ":webp:1" * 1500,
    "skipped": "skp" + ":png" * 3000,
    "a target too long": "fn:" + "a" * 20_000,
}


@pytest.mark.parametrize("name", MANY)
def test_thousands_of_arguments_or_options_are_rejected_before_any_fetch(
    server: Twistd, origin: RawOrigin, name: str
) -> None:
    before = len(origin.requests)
    reply = server.get(f"/unsafe/{MANY[name]}/plain/{origin.url('/a.png')}")
    assert reply.status in {400, 414}, reply.body[:100]
    assert len(origin.requests) == before
    assert len(reply.body) < 20_000


def test_the_server_still_processes_images_after_the_malformed_requests(server: Twistd, origin: RawOrigin) -> None:
    assert ask(server, "w:10", origin.url("/a.png")).status == 200
