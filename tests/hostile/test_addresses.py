"""The server never connects to a refused address, however it is spelt and wherever a URL names it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.hostile_world import Canary, RawOrigin, ask, base64_of, serving, whole
from tests.support.pictures import encode, gradient
from tests.support.process import Twistd

# Spellings that some resolver or URL parser takes for a loopback address. The port is the canary's.
LOOPBACK = """
127.0.0.1 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0x7f.1 0x7f.0x0.0x0.0x1 017700000001 0177.0.0.1
0177.1 00000177.1 127.0.0.1. localhost LOCALHOST localhost. ip6-localhost foo.localhost 0.0.0.0 0 0x0 0.0.0.0. 00
[::1] [::] [0:0:0:0:0:0:0:1] [0000::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::127.0.0.1]
[::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:1::1]
[2001:0:0:0:0:0:80ff:fffe] [::1%25lo] [::1%lo] [::ffff:0.0.0.0] [::ffff:127.0.0.1%25lo] [::ffff:0:127.0.0.1]
[fe80::1%25lo] [::%25lo] \uff11\uff12\uff17.\uff10.\uff10.\uff11 \u2460\u2461\u2466.0.0.1 127\u30020\u30020\u30021
\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3 127.0.0.1%2e 127%2e0%2e0%2e1
%31%32%37.0.0.1 127.0.0.1%00.example.com 127.0.0.1%0d%0a user@127.0.0.1 user:pass@127.0.0.1 example.com@127.0.0.1
example.com:80@127.0.0.1 127.0.0.1\\@example.com @127.0.0.1 127.0.0.1#@example.com 127.0.0.1?@example.com
"""

# Addresses outside this machine that must be refused: cloud metadata, private networks, multicast, reserved ranges.
LINK_LOCAL = """
169.254.169.254 169.254.170.2 169.254.0.1 0xa9fea9fe 2852039166 [fe80::1] [febf::1] [::ffff:169.254.169.254]
[64:ff9b::a9fe:a9fe] [64:ff9b:1:a9fe:a9:fe00::] [::ffff:0:169.254.169.254] [2002:a9fe:a9fe::] 224.0.0.1
239.255.255.250 255.255.255.255 [ff02::1] [ff05::2]
"""
PRIVATE = """
10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 100.64.0.1 100.100.100.200
100.127.255.255 192.0.0.192 192.0.2.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 240.0.0.1 254.1.1.1
[fd00::1] [fd00:ec2::254] [fc00::1] [fec0::1] [5f00::1] [100:0:0:1::1] 192.88.99.1 [::ffff:0:10.0.0.1]
[64:ff9b:1:a00:0:100::] [2001:db8::1] [3fff::1] [100::1] [2001:2::1] [::ffff:10.0.0.1]
[64:ff9b::a00:1] [64:ff9b:1::a00:1] [2002:a00:1::1] 0xa000001 167772161 012.0.0.1
"""

SCHEMES = ("file", "FILE", "ftp", "gopher", "dict", "ldap", "jar", "netdoc", "unix", "http+unix", "data", "blob", "s3")

# Requests that make the server fetch a URL: {url} percent-encoded, {coded} in base64.
REQUESTS = {
    "plain": "/unsafe/plain/{url}",
    "base64": "/unsafe/w:9/{coded}",
    "raw": "/unsafe/raw:1/plain/{url}",
    "info": "/info/unsafe/plain/{url}",
    "watermark": "/unsafe/wm:1/wmu:{coded}/plain/local:///a.png",
    "fallback": "/unsafe/fiu:{coded}/plain/gone",
}


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    origin = RawOrigin()
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twistd]:
    """A server that fetches from public addresses only, and has one local file."""
    root = tmp_path_factory.mktemp("root")
    (root / "a.png").write_bytes(encode(gradient(9, 9), "PNG"))
    with serving(
        ALLOW_PRIVATE_SOURCE_ADDRESSES="false", DOWNLOAD_TIMEOUT="5", LOCAL_FILESYSTEM_ROOT=str(root)
    ) as server:
        yield server


@pytest.fixture(scope="module")
def loopback_server() -> Iterator[Twistd]:
    """A server that may fetch from loopback, so that an origin can redirect it to refused addresses."""
    with serving(
        ALLOW_PRIVATE_SOURCE_ADDRESSES="false", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", DOWNLOAD_TIMEOUT="5"
    ) as server:
        yield server


@pytest.mark.parametrize("host", LOOPBACK.split())
def test_no_spelling_of_a_loopback_address_is_connected_to(strict_server: Twistd, canary: Canary, host: str) -> None:
    reply = ask(strict_server, "", f"http://{host}:{canary.port}/a.jpg")
    assert reply.status in {400, 404, 502}, reply.body
    assert not canary.connections


@pytest.mark.parametrize("host", (LINK_LOCAL + PRIVATE).split())
def test_no_reserved_address_is_connected_to(strict_server: Twistd, host: str) -> None:
    reply = ask(strict_server, "", f"http://{host}/latest/meta-data/")
    assert reply.status == 404
    assert b"which this server refuses" in reply.body


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "0x7f.1"])
def test_addresses_of_sources_watermarks_and_fallbacks_are_checked(
    strict_server: Twistd, canary: Canary, kind: str, host: str
) -> None:
    url = f"http://{host}:{canary.port}/a.png"
    path = REQUESTS[kind].format(url=quote(url, safe=""), coded=base64_of(url))
    reply = strict_server.get(path)
    assert reply.status == 404, reply.body
    assert not canary.connections
    if kind != "fallback":  # only logged: the response is about the source
        assert b"which this server refuses" in reply.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[fd00::1]", "2852039166", "[::ffff:10.0.0.1]"])
def test_no_redirect_leads_to_a_refused_address(
    loopback_server: Twistd, origin: RawOrigin, host: str, status: int
) -> None:
    origin.answers["/hop"] = whole(b"", "302 Found", "Location: /moved")
    origin.answers["/moved"] = whole(b"", f"{status} Moved", f"Location: http://{host}/latest/")
    reply = ask(loopback_server, "", origin.url("/hop"))
    assert (reply.status, b"which this server refuses" in reply.body) == (404, True)


@pytest.mark.parametrize("location", ["//10.0.0.1/a", "///10.0.0.1/a", "http:\\\\10.0.0.1\\a", "http://10.0.0.1\t/a"])
def test_no_malformed_location_leads_to_a_refused_address(
    loopback_server: Twistd, origin: RawOrigin, location: str
) -> None:
    origin.answers["/odd"] = whole(b"", "302 Found", f"Location: {location}")
    assert ask(loopback_server, "", origin.url("/odd")).status in {404, 502}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_schemes_are_refused_in_urls_and_redirects(
    loopback_server: Twistd, origin: RawOrigin, scheme: str
) -> None:
    for rest in ("///etc/passwd", "//127.0.0.1/etc/passwd", ":etc/passwd"):
        assert ask(loopback_server, "", f"{scheme}:{rest}").status in {400, 404}
    origin.answers["/away"] = whole(b"", "302 Found", f"Location: {scheme}:///etc/passwd")
    reply = ask(loopback_server, "raw:1", origin.url("/away"))
    assert reply.status == 404
    assert b"root:" not in reply.body


def test_a_redirect_loop_ends_after_ten_redirects(loopback_server: Twistd, origin: RawOrigin) -> None:
    origin.answers["/circle"] = whole(b"", "302 Found", "Location: /circle")
    before = len(origin.requests)
    assert ask(loopback_server, "", origin.url("/circle")).status == 502
    assert len(origin.requests) - before == 11


def test_the_network_address_of_this_machine_is_refused(strict_server: Twistd, canary: Canary) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    assert ask(strict_server, "", f"http://{own}:{canary.port}/").status == 404
    assert not canary.connections
