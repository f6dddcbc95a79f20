"""Disks that fail, workers that are killed, and hours of all this: images are served, and nothing piles up."""

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


def damage(path: Path, how: str) -> None:
    body = bytearray(path.read_bytes())
    match how:
        case "flipped in its head":
            body[20] ^= 0x40
        case "flipped in its middle":
            body[len(body) // 2] ^= 0x40
        case "flipped in its body":
            body[-5] ^= 0x40
        case "cut":
            del body[len(body) // 2 :]
        case "emptied":
            body.clear()
        case "longer":
            body += bytes(1000)
        case "zeroed":
            body[:] = bytes(len(body))
        case "its head of 4 GB":
            body[:16] = b"\xff" * 16
    path.write_bytes(body)


def replaced(path: Path, how: str) -> None:
    path.unlink()
    match how:
        case "a directory":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a link out":
            path.symlink_to("/etc/passwd")
        case "a link to itself":
            path.symlink_to(path)
        case "a link to a device":
            path.symlink_to("/dev/zero")


DAMAGES: dict[str, tuple[Callable[[Path, str], None], str]] = {
    **{
        how: (damage, how)
        for how in (
            "flipped in its head",
            "flipped in its middle",
            "flipped in its body",
            "cut",
            "emptied",
            "longer",
            "zeroed",
            "its head of 4 GB",
        )
    },
    **{
        how: (replaced, how)
        for how in ("a directory", "a pipe", "a link out", "a link to itself", "a link to a device")
    },
    "gone": (lambda path, _: path.unlink(), ""),
    "unreadable": (lambda path, _: path.chmod(0), ""),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Twistd, Path]]:
    """A server that keeps everything in files, and where."""
    directory = tmp_path_factory.mktemp("kept") / "cache"
    with serving(ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", CACHE_TYPE="disk", CACHE_DISK_PATH=str(directory)) as server:
        yield server, directory


@pytest.mark.parametrize("name", DAMAGES)
def test_no_damaged_entry_is_served(origin: RawOrigin, kept: tuple[Twistd, Path], name: str) -> None:
    server, directory = kept
    options = f"w:21/cb:{name.replace(' ', '-')}"
    others = set(entries(directory)) if directory.exists() else set()
    made = ask(server, options, origin.url("/a.png"))
    wait_for(lambda: set(entries(directory)) - others, "the entry")
    spoil, how = DAMAGES[name]
    for path in set(entries(directory)) - others:
        spoil(path, how)
    for _ in range(2):
        again = ask(server, options, origin.url("/a.png"))
        assert (again.status, again.body) == (200, made.body)


def full(server: Twistd, directory: Path) -> None:
    """No file may grow beyond its first kilobytes, as on a disk without room."""
    process: Any = server.process
    room = max(server.log.stat().st_size + 20_000, 40_000)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))


def instead(directory: Path, make: Callable[[], None]) -> None:
    """Have something else stand there; the server may still be writing, and then makes the directory once more."""
    while True:
        shutil.rmtree(directory.rename(directory.with_name("gone")))
        try:
            return make()
        except FileExistsError:
            continue


def gone(server: Twistd, directory: Path) -> None:
    instead(directory, lambda: None)


def a_file(server: Twistd, directory: Path) -> None:
    instead(directory, lambda: directory.touch(exist_ok=False))


def a_dead_link(server: Twistd, directory: Path) -> None:
    instead(directory, lambda: directory.symlink_to(directory.parent / "nowhere"))


def read_only(server: Twistd, directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o500)


@pytest.mark.parametrize("fault", [full, gone, a_file, a_dead_link, read_only], ids=lambda fault: fault.__name__)
def test_without_its_disk_images_are_served_as_if_uncached(
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
        if fault is full and not os.environ.get("IMGFORGE_TEST_NO_PRLIMIT"):
            assert b"cache_faults_total" in server.get("/metrics").body
    if fault is read_only:
        for path in (directory, *directory.rglob("*")):
            path.chmod(0o700)


# Run by the interpreter before the server: while a pipe stands beside the cache directory, opening a file below that
# waits as on a dead share, in the kernel, until somebody opens the pipe's other end.
SHARE = """
import os
opening = os.open
def open_(path, *how, **named):
    if os.fspath(path).startswith({directory!r}) and os.path.exists({pipe!r}):
        os.close(opening({pipe!r}, os.O_RDONLY))
    return opening(path, *how, **named)
os.open = open_
"""


@pytest.mark.parametrize("kind", ["disk", "hybrid"])
def test_a_share_that_hangs_holds_up_no_image(origin: RawOrigin, tmp_path: Path, kind: str) -> None:
    """Neither images nor the health check wait for it, and when it comes back it is in use again."""
    directory, pipe = tmp_path / "cache", tmp_path / "hangs"
    (tmp_path / "sitecustomize.py").write_text(SHARE.format(directory=str(directory), pipe=str(pipe)))
    server = Twistd(
        {"PROCESSES": "1", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "CACHE_TYPE": kind, "SOURCE_CACHE_TYPE": kind}
        | {"CACHE_DISK_PATH": str(directory), "CACHE_MEMORY_CAPACITY": "1", "PURGE_SECRET": "s"},
        environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )

    def kept(width: int) -> bool:
        reply = ask(server, f"w:{width}", origin.url("/a.png"))
        assert (reply.status, decode(reply.body).width) == (200, width)
        return "hit" in reply.headers["cache-status"].lower()

    def cached() -> bool:
        return kept(21) and kept(22)  # the memory has room for one of them

    try:
        server.start()
        wait_for(cached, "the entries")
        os.mkfifo(pipe)
        wait_for(lambda: not cached(), "the share to hang")
        for turn in range(20):
            # Of look-ups that hang there are soon more than threads.
            assert not kept(23 + turn % 7) or kind == "hybrid"
            assert server.get("/status").status == 200
        assert b'cache_faults_total{cache_type="disk",fault="slow"}' in server.get("/metrics").body
        pipe.rename(tmp_path / "came back")
        released = os.open(tmp_path / "came back", os.O_RDWR)  # wakes whoever waits for another end
        wait_for(cached, "the share to come back")
        os.close(released)
        assert server.stop() == 0
    finally:
        server.clean()


def test_workers_that_are_killed_under_load_take_only_their_own_requests(origin: RawOrigin) -> None:
    """Clients try again on a connection that broke; all get every image, and a wrong answer is never one of them."""
    server = Twistd(
        {"PROCESSES": "2", "WORKERS": "4", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "CACHE_TYPE": "memory"}
        | {"QUARANTINE_SECONDS": "0"}  # a killed worker looks like one that its only source has killed
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
            except Exception:  # the connection broke with its worker
                broken.append(number)
                continue
            if reply.status != 200 or decode(reply.body).width != 10 + turn % 15:
                wrong.append((reply.status, reply.body[:80]))

    try:
        server.start()
        clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for one in clients:
            one.start()
        parent: Any = server.process
        for _ in range(2):
            wait_for(lambda: len(server.children()) == 2, "both workers")
            victim = server.children()[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: victim not in server.children(), "its end")  # type: ignore[misc]
        wait_for(lambda: len(server.children()) == 2, "both workers again")
        stop.set()
        for one in clients:
            one.join()
        assert not wrong
        assert parent.poll() is None
        assert ask(server, "w:9", origin.url("/a.png")).status == 200
        assert server.stop() == 0
    finally:
        stop.set()
        server.clean()


def round_of_hostility(server: Twistd, origin: RawOrigin, turn: int) -> None:
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


def test_hostility_leaves_no_descriptor_and_no_memory_behind(origin: RawOrigin) -> None:
    """Twenty rounds to warm up, then the slope over fifty more."""
    settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "DOWNLOAD_TIMEOUT": "0.05", "LOG_LEVEL": "error"}
    with serving(WORKERS="2", CACHE_TYPE="", **settings) as server:
        origin.answers["/half"] = whole(b"half", "200 OK", "Content-Encoding: gzip")
        for turn in range(20):
            round_of_hostility(server, origin, turn)
        opened, resident = descriptors(server), memory(server)
        for turn in range(50):
            round_of_hostility(server, origin, 1000 + turn)
        wait_for(lambda: descriptors(server) <= opened + 2, "the descriptors to be closed")
        assert memory(server) - resident < 30
