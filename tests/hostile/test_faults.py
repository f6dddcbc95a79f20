"""Failing disks, killed workers and repeated hostile requests: images are still served, and no resources leak."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.hostile_images import png
from tests.support.hostile_world import RawOrigin, ask, descriptors, memory, serving, whole
from tests.support.pictures import decode, encode, gradient
from tests.support.process import ROOT, Twistd, wait_for


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    origin = RawOrigin()
    origin.answers["/noise.png"] = whole(encode(Image.fromarray(noise), "PNG"))
    origin.answers["/a.png"] = whole(encode(gradient(30, 20), "PNG"))
    origin.answers["/words"] = whole(b"words")
    origin.answers["/cut"] = lambda connection: connection.close()
    origin.answers["/half"] = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nhalf"
    origin.answers["/bomb.png"] = whole(png(100_000, 100_000, pixels=b""))
    origin.answers["/deep.svg"] = whole(
        b"<svg xmlns='http://www.w3.org/2000/svg'>" + b"<g>" * 5000 + b"</g>" * 5000 + b"</svg>"
    )
    yield origin
    origin.close()


def entries(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*.entry") if path.is_file() and not path.is_symlink()]


def damage(path: Path, kind: str) -> None:
    body = bytearray(path.read_bytes())
    match kind:
        case "bit flipped in the header":
            body[20] ^= 0x40
        case "bit flipped in the middle":
            body[len(body) // 2] ^= 0x40
        case "bit flipped in the body":
            body[-5] ^= 0x40
        case "truncated":
            del body[len(body) // 2 :]
        case "emptied":
            body.clear()
        case "extended":
            body += bytes(1000)
        case "zeroed":
            body[:] = bytes(len(body))
        case "header length of 4 GB":
            body[:16] = b"\xff" * 16
    path.write_bytes(body)


def replace(path: Path, kind: str) -> None:
    path.unlink()
    match kind:
        case "a directory":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a link out of the cache":
            path.symlink_to("/etc/passwd")
        case "a link to itself":
            path.symlink_to(path)
        case "a link to a device":
            path.symlink_to("/dev/zero")


DAMAGES: dict[str, tuple[Callable[[Path, str], None], str]] = {
    **{
        kind: (damage, kind)
        for kind in (
            "bit flipped in the header",
            "bit flipped in the middle",
            "bit flipped in the body",
            "truncated",
            "emptied",
            "extended",
            "zeroed",
            "header length of 4 GB",
        )
    },
    **{
        kind: (replace, kind)
        for kind in ("a directory", "a pipe", "a link out of the cache", "a link to itself", "a link to a device")
    },
    "gone": (lambda path, _: path.unlink(), ""),
    "unreadable": (lambda path, _: path.chmod(0), ""),
}


@pytest.fixture(scope="module")
def disk_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Twistd, Path]]:
    """A server with a disk cache, and the directory of the cache."""
    directory = tmp_path_factory.mktemp("disk") / "cache"
    with serving(ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", CACHE_TYPE="disk", CACHE_DISK_PATH=str(directory)) as server:
        yield server, directory


@pytest.mark.parametrize("name", DAMAGES)
def test_no_damaged_entry_is_served(origin: RawOrigin, disk_cache: tuple[Twistd, Path], name: str) -> None:
    server, directory = disk_cache
    options = f"w:21/cb:{name.replace(' ', '-')}"
    others = set(entries(directory)) if directory.exists() else set()
    first = ask(server, options, origin.url("/a.png"))
    wait_for(lambda: set(entries(directory)) - others, "the entry")
    apply, kind = DAMAGES[name]
    for path in set(entries(directory)) - others:
        apply(path, kind)
    for _ in range(2):
        again = ask(server, options, origin.url("/a.png"))
        assert (again.status, again.body) == (200, first.body)


def full_disk(server: Twistd, directory: Path) -> None:
    """Limits the size of files, which makes writes fail as on a full disk."""
    process: Any = server.process
    limit = max(server.log.stat().st_size + 20_000, 40_000)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))


def replace_directory(directory: Path, make: Callable[[], None]) -> None:
    """Removes *directory* and calls *make*; tries again if the server, still writing, has created it once more."""
    while True:
        shutil.rmtree(directory.rename(directory.with_name("gone")))
        try:
            return make()
        except FileExistsError:
            continue


def directory_removed(server: Twistd, directory: Path) -> None:
    replace_directory(directory, lambda: None)


def directory_replaced_by_a_file(server: Twistd, directory: Path) -> None:
    replace_directory(directory, lambda: directory.touch(exist_ok=False))


def directory_replaced_by_a_dead_link(server: Twistd, directory: Path) -> None:
    replace_directory(directory, lambda: directory.symlink_to(directory.parent / "nowhere"))


def directory_read_only(server: Twistd, directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o500)


@pytest.mark.parametrize(
    "fault",
    [
        full_disk,
        directory_removed,
        directory_replaced_by_a_file,
        directory_replaced_by_a_dead_link,
        directory_read_only,
    ],
    ids=lambda fault: fault.__name__,
)
def test_images_are_served_uncached_while_the_disk_cache_fails(
    origin: RawOrigin, tmp_path: Path, fault: Callable[[Twistd, Path], None]
) -> None:
    directory = tmp_path / "cache"
    with serving(ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", CACHE_TYPE="disk", CACHE_DISK_PATH=str(directory)) as server:
        assert ask(server, "w:290", origin.url("/noise.png")).status == 200
        wait_for(lambda: entries(directory), "the entry")
        fault(server, directory)
        for turn in range(6):
            reply = ask(server, f"w:{280 + turn}", origin.url("/noise.png"))
            assert decode(reply.body).width == 280 + turn
            assert ask(server, "w:290", origin.url("/noise.png")).status == 200
        assert server.get("/status").status == 200
        if fault is full_disk and not os.environ.get("IMGFORGE_TEST_NO_PRLIMIT"):
            assert b"cache_faults_total" in server.get("/metrics").body
    if fault is directory_read_only:
        for path in (directory, *directory.rglob("*")):
            path.chmod(0o700)


# A sitecustomize module, which Python imports before the server. While a pipe exists beside the cache directory,
# opening a file in the directory blocks in the kernel, as on an unreachable network share, until the pipe has a writer.
HANGING_SHARE = """
import os
opening = os.open
def open_(path, *how, **named):
    if os.fspath(path).startswith({directory!r}) and os.path.exists({pipe!r}):
        os.close(opening({pipe!r}, os.O_RDONLY))
    return opening(path, *how, **named)
os.open = open_
"""


@pytest.mark.parametrize("kind", ["disk", "hybrid"])
def test_images_are_served_while_the_network_share_of_the_cache_hangs(
    origin: RawOrigin, tmp_path: Path, kind: str
) -> None:
    """Neither images nor /status wait for the share, and the cache is in use again once the share responds."""
    directory, pipe = tmp_path / "cache", tmp_path / "hangs"
    (tmp_path / "sitecustomize.py").write_text(HANGING_SHARE.format(directory=str(directory), pipe=str(pipe)))
    server = Twistd(
        {"PROCESSES": "1", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "CACHE_TYPE": kind, "SOURCE_CACHE_TYPE": kind}
        | {"CACHE_DISK_PATH": str(directory), "CACHE_MEMORY_CAPACITY": "1", "PURGE_SECRET": "s"},
        environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )

    def is_hit(width: int) -> bool:
        reply = ask(server, f"w:{width}", origin.url("/a.png"))
        assert (reply.status, decode(reply.body).width) == (200, width)
        return "hit" in reply.headers["cache-status"].lower()

    def cached() -> bool:
        return is_hit(21) and is_hit(22)  # the memory tier holds only one of them

    try:
        server.start()
        wait_for(cached, "the entries")
        os.mkfifo(pipe)
        wait_for(lambda: not cached(), "the share to hang")
        for turn in range(20):
            # After a few turns, more look-ups hang than there are threads.
            assert not is_hit(23 + turn % 7) or kind == "hybrid"
            assert server.get("/status").status == 200
        assert b'cache_faults_total{cache_type="disk",fault="slow"}' in server.get("/metrics").body
        pipe.rename(tmp_path / "responds")
        released = os.open(tmp_path / "responds", os.O_RDWR)  # wakes the threads that wait for a writer
        wait_for(cached, "the share to respond")
        os.close(released)
        assert server.stop() == 0
    finally:
        server.clean()


def test_a_killed_worker_loses_only_its_own_requests(origin: RawOrigin) -> None:
    """Clients retry after a broken connection; every response is the right image."""
    server = Twistd(
        {"PROCESSES": "2", "WORKERS": "4", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "CACHE_TYPE": "memory"}
        | {"QUARANTINE_SECONDS": "0"}  # a killed worker looks like one that crashed on its source
    )
    broken: list[int] = []
    wrong: list[object] = []
    stop = threading.Event()

    def client(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            try:
                reply = ask(server, f"w:{10 + turn % 15}/cb:{number}-{turn}", origin.url("/a.png"), "@png")
            except Exception:  # its worker was killed
                broken.append(number)
                continue
            if reply.status != 200 or decode(reply.body).width != 10 + turn % 15:
                wrong.append((reply.status, reply.body[:80]))

    try:
        server.start()
        clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for thread in clients:
            thread.start()
        parent: Any = server.process
        for _ in range(2):
            wait_for(lambda: len(server.children()) == 2, "both workers")
            victim = server.children()[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: victim not in server.children(), "the killed worker to end")  # type: ignore[misc]
        wait_for(lambda: len(server.children()) == 2, "both workers again")
        stop.set()
        for thread in clients:
            thread.join()
        assert not wrong
        assert parent.poll() is None
        assert ask(server, "w:9", origin.url("/a.png")).status == 200
        assert server.stop() == 0
    finally:
        stop.set()
        server.clean()


def send_hostile_requests(server: Twistd, origin: RawOrigin, turn: int) -> None:
    for options, path in (
        (f"w:9/cb:{turn}", "/a.png"),
        (f"w:9/cb:{turn}", "/words"),
        (f"w:9/cb:{turn}", "/cut"),
        (f"w:9/cb:{turn}", "/half"),
        (f"w:9/cb:{turn}", "/bomb.png"),
        (f"w:9/cb:{turn}", "/deep.svg"),
        (f"w:9/cb:{turn}", f"/missing/{turn}"),
        (f"w:nan/cb:{turn}", "/a.png"),
        (f"unknown:{turn}", "/a.png"),
    ):
        ask(server, options, origin.url(path), "@png")
    ask(server, "", f"http://127.0.0.1:9/{turn}")
    ask(server, "", f"local:///{turn}")


def test_hostile_requests_leak_no_descriptors_and_no_memory(origin: RawOrigin) -> None:
    """Measures the growth over fifty rounds, after twenty to warm up."""
    settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "DOWNLOAD_TIMEOUT": "0.05", "LOG_LEVEL": "error"}
    with serving(WORKERS="2", CACHE_TYPE="", **settings) as server:
        origin.answers["/half"] = whole(b"half", "200 OK", "Content-Encoding: gzip")
        for turn in range(20):
            send_hostile_requests(server, origin, turn)
        opened, resident = descriptors(server), memory(server)
        for turn in range(50):
            send_hostile_requests(server, origin, 1000 + turn)
        wait_for(lambda: descriptors(server) <= opened + 2, "the descriptors to be closed")
        assert memory(server) - resident < 30
