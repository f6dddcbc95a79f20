"""Only allowed sources are fetched, and only regular files below the local root are read."""

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

# Paths of local:// URLs that must not be opened. `outside` is a directory beside the root, with secret.png.
REFUSED_PATHS = (
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
# Files in the root but outside its allowed part, /sub/, in several spellings.
NOT_ALLOWED_PATHS = (
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
def local_server(root: Path) -> Iterator[Twistd]:
    with serving(LOCAL_FILESYSTEM_ROOT=str(root), WORKERS="2", TIMEOUT="20") as server:
        yield server


@pytest.fixture(scope="module")
def restricted_server(root: Path, origin: RawOrigin) -> Iterator[Twistd]:
    with serving(
        LOCAL_FILESYSTEM_ROOT=str(root),
        ALLOW_LOOPBACK_SOURCE_ADDRESSES="true",
        ALLOWED_SOURCES=f"local:///sub/,{origin.url('/public/')},http://*.example.com/,http://127.0.0.1.example",
    ) as server:
        yield server


@pytest.mark.parametrize("request_path", ["/unsafe/plain/{}", "/unsafe/raw:1/plain/{}", "/info/unsafe/plain/{}"])
@pytest.mark.parametrize("path", REFUSED_PATHS, ids=lambda path: path[:40])
def test_only_regular_files_below_the_root_are_opened(local_server: Twistd, path: str, request_path: str) -> None:
    reply = local_server.get(request_path.format(quote(f"local://{path}", safe="")))
    assert reply.status in {400, 404}, reply.body[:100]
    assert SECRET not in reply.body
    assert b"root" not in reply.body or "root" in path  # the message reveals no path of the server


@pytest.mark.parametrize("path", REFUSED_PATHS[:12])
def test_base64_and_partly_encoded_paths_do_not_leave_the_root(local_server: Twistd, path: str) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        assert local_server.get(f"/unsafe/w:9/{base64_of(f'local://{path}')}").status in {400, 404}
        assert local_server.get("/unsafe/plain/local://" + quote(path, safe="/%")).status in {400, 404}


@pytest.mark.parametrize("path", ["/a.png", "/sub/b.png", "/link-in.png", "/./a.png", "/sub/../a.png", "//a.png"])
def test_files_below_the_root_are_served(local_server: Twistd, path: str) -> None:
    assert decode(ask(local_server, "", f"local://{path}").body).size == (30, 20)


@pytest.mark.parametrize("path", NOT_ALLOWED_PATHS)
def test_allowed_sources_restrict_local_files(restricted_server: Twistd, path: str) -> None:
    assert ask(restricted_server, "", f"local://{path}").status == 404


# {here} is the origin, whose /public/ is allowed.
NOT_ALLOWED_URLS = (
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


@pytest.mark.parametrize("url", NOT_ALLOWED_URLS)
def test_no_url_bypasses_the_allowed_sources(restricted_server: Twistd, origin: RawOrigin, url: str) -> None:
    before = len(origin.requests)
    reply = ask(restricted_server, "", url.format(here=origin.url(""), port=origin.port))
    assert reply.status in {400, 404}, reply.body
    assert len(origin.requests) == before


def test_no_redirect_bypasses_the_allowed_sources(restricted_server: Twistd, origin: RawOrigin) -> None:
    for location in (
        "/private/a.png",
        "../private/a.png",
        "local:///sub/b.png",
        f"http://localhost:{origin.port}/public/a.png",
    ):
        origin.answers["/public/moved"] = whole(b"", "302 Found", f"Location: {location}")
        before = len(origin.requests)
        assert ask(restricted_server, "", origin.url("/public/moved")).status == 404, location
        assert len(origin.requests) == before + 1, location


def test_allowed_sources_are_served(restricted_server: Twistd, origin: RawOrigin) -> None:
    def size(reply: Reply) -> tuple[int, int]:
        return decode(reply.body).size

    for url in ("local:///sub/b.png", origin.url("/public/a.png"), origin.url("/public/x/y.png?q=/../")):
        assert size(ask(restricted_server, "", url)) == (30, 20)
