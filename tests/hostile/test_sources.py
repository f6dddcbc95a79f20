"""Only allowed sources are fetched, and of the machine's files only regular ones below the root."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.hostile_world import RawOrigin, ask, base64_of, serving, whole
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Reply, Twistd

PICTURE = encode(gradient(30, 20), "PNG")
SECRET = encode(gradient(11, 11), "PNG")

# What stands behind local:// and leads nowhere. `outside` is beside the root and has secret.png.
NOWHERE = (
    "/../outside/secret.png",
    "/%2e%2e/outside/secret.png",
    "/..%2foutside/secret.png",
    "/%252e%252e/outside/secret.png",
    "/sub/../../outside/secret.png",
    "/sub/%2e%2e/%2e%2e/outside/secret.png",
    "//../outside/secret.png",
    "/./../outside/secret.png",
    "/..\\outside\\secret.png",
    "/..%5coutside%5csecret.png",
    "/%c0%ae%c0%ae/outside/secret.png",
    "/\uff0e\uff0e/outside/secret.png",
    "/a.png/../../outside/secret.png",
    "/a.png/.",
    "/a.png/",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "/dev/zero",
    "",
    "/",
    "/.",
    "/..",
    "/sub",
    "/sub/",
    "/link-out.png",
    "/link-dir/secret.png",
    "/link-link.png",
    "/link-absolute.png",
    "/link-loop.png",
    "/link-proc/environ",
    "/pipe.png",
    "/socket.png",
    "/null.png",
    "/a.png%00",
    "/a.png%00.jpg",
    "/%00",
    "/a.png\n",
    "/" + "x" * 5000,
    "/" + "a/" * 3000,
    "/sub/../../root/../outside/secret.png",
    "/~root/.ssh/id_rsa",
    "/$HOME/a.png",
    "/*.png",
    "/root-sibling/../a.png\u0000",
)
# These are in the root by another spelling, and not in the allowed part of it.
NOT_ALLOWED = (
    "/sub/../a.png",
    "/a.png",
    "/subway.png",
    "/sub/%2e%2e/a.png",
    "//a.png",
    "/SUB/../a.png",
    "/sub\\..\\a.png",
)


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    origin = RawOrigin()
    for path in ("/public/a.png", "/private/a.png", "/public/x/y.png", "/publicity/a.png"):
        origin.answers[path] = whole(PICTURE)
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("files")
    root, outside = base / "root", base / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (base / "root-sibling").mkdir()
    for path in (root / "a.png", root / "sub" / "b.png", root / "subway.png"):
        path.write_bytes(PICTURE)
    (outside / "secret.png").write_bytes(SECRET)
    for name, target in (
        ("link-out.png", "../outside/secret.png"),
        ("link-dir", "../outside"),
        ("link-link.png", "link-out.png"),
        ("link-absolute.png", str(outside / "secret.png")),
        ("link-loop.png", "link-loop.png"),
        ("link-proc", "/proc/self"),
        ("link-in.png", "sub/b.png"),
        ("null.png", "/dev/null"),
    ):
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as unix, contextlib.suppress(OSError):  # too long a path, in some directories
        unix.bind(str(root / "socket.png"))
    return root


@pytest.fixture(scope="module")
def local(root: Path) -> Iterator[Twistd]:
    with serving(LOCAL_FILESYSTEM_ROOT=str(root), WORKERS="2", TIMEOUT="20") as server:
        yield server


@pytest.fixture(scope="module")
def listed(root: Path, origin: RawOrigin) -> Iterator[Twistd]:
    with serving(
        LOCAL_FILESYSTEM_ROOT=str(root),
        ALLOW_LOOPBACK_SOURCE_ADDRESSES="true",
        ALLOWED_SOURCES=f"local:///sub/,{origin.url('/public/')},http://*.example.com/,http://127.0.0.1.example",
    ) as server:
        yield server


@pytest.mark.parametrize("way", ["/unsafe/plain/{}", "/unsafe/raw:1/plain/{}", "/info/unsafe/plain/{}"])
@pytest.mark.parametrize("path", NOWHERE, ids=lambda path: path[:40])
def test_nothing_outside_the_root_and_no_odd_file_is_opened(local: Twistd, path: str, way: str) -> None:
    reply = local.get(way.format(quote(f"local://{path}", safe="")))
    assert reply.status in {400, 404}, reply.body[:100]
    assert SECRET not in reply.body
    assert b"root" not in reply.body or "root" in path  # no path of ours in the message


@pytest.mark.parametrize("path", NOWHERE[:12])
def test_nor_in_base64_or_half_encoded(local: Twistd, path: str) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        assert local.get(f"/unsafe/w:9/{base64_of(f'local://{path}')}").status in {400, 404}
        assert local.get("/unsafe/plain/local://" + quote(path, safe="/%")).status in {400, 404}


@pytest.mark.parametrize("path", ["/a.png", "/sub/b.png", "/link-in.png", "/./a.png", "/sub/../a.png", "//a.png"])
def test_what_is_inside_is_served(local: Twistd, path: str) -> None:
    assert decode(ask(local, "", f"local://{path}").body).size == (30, 20)


@pytest.mark.parametrize("path", NOT_ALLOWED)
def test_the_list_of_allowed_sources_holds_for_files(listed: Twistd, path: str) -> None:
    assert ask(listed, "", f"local://{path}").status == 404


# {here} is the origin, whose /public/ is allowed.
FOREIGN = (
    "{here}/private/a.png",
    "{here}/publicity/a.png",
    "{here}/public",
    "{here}/public/../private/a.png",
    "{here}/public/%2e%2e/private/a.png",
    "{here}/public/..%2fprivate/a.png",
    "{here}/public/x/../../private/a.png",
    "{here}/public\\..\\private/a.png",
    "{here}//public/a.png",
    "{here}/PUBLIC/a.png",
    "x{here}/public/a.png",
    " {here}/public/a.png",
    "http://other@127.0.0.1:{port}/public/a.png",
    "http://127.0.0.1:{port}@localhost/public/a.png",
    "http://localhost:{port}/public/a.png",
    "http://127.1:{port}/public/a.png",
    "https://127.0.0.1:{port}/public/a.png",
    "http://127.0.0.1:{port}#/public/a.png",
    "http://127.0.0.1:{port}?/public/a.png",
    "http://evil.net/.example.com/a.png",
    "http://evil.net?x=.example.com/",
    "http://evil.net#.example.com/",
    "http://evil.net\\.example.com/",
    "http://user@evil.net@x.example.com/",
    "http://x.example.com.evil.net/",
    "http://example.com/a.png",
    "http://127.0.0.1.example.evil.net/a",
    "http://127.0.0.1.example@evil.net/a",
    "local:///a.png?local:///sub/",
    "LOCAL:///a.png",
    "http://evil.net/{here}/public/a.png",
)


@pytest.mark.parametrize("url", FOREIGN)
def test_no_url_gets_around_the_list(listed: Twistd, origin: RawOrigin, url: str) -> None:
    before = len(origin.requests)
    reply = ask(listed, "", url.format(here=origin.url(""), port=origin.port))
    assert reply.status in {400, 404}, reply.body
    assert len(origin.requests) == before


def test_no_redirect_gets_around_the_list(listed: Twistd, origin: RawOrigin) -> None:
    for location in (
        "/private/a.png",
        "../private/a.png",
        "local:///sub/b.png",
        f"http://localhost:{origin.port}/public/a.png",
    ):
        origin.answers["/public/moved"] = whole(b"", "302 Found", f"Location: {location}")
        before = len(origin.requests)
        assert ask(listed, "", origin.url("/public/moved")).status == 404, location
        assert len(origin.requests) == before + 1, location


def test_what_is_on_the_list_is_served(listed: Twistd, origin: RawOrigin) -> None:
    def size(reply: Reply) -> tuple[int, int]:
        return decode(reply.body).size

    for url in ("local:///sub/b.png", origin.url("/public/a.png"), origin.url("/public/x/y.png?q=/../")):
        assert size(ask(listed, "", url)) == (30, 20)
