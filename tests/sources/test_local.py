"""local:// serves regular files below its root, and nothing else in any spelling."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from imgforge.errors import OriginFailed, OriginTimeout, SourceNotFound, SourceTooLarge
from imgforge.model import SourceHead
from imgforge.processing import sniffed_media_type
from imgforge.sources import LocalSource, SourceRegistry, SourceSettings, bounded_file
from tests.support.cache_directory import ThreadedClock
from tests.support.scripted_origin import reactor


class LocalTests(TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.outside = Path(scratch.name)
        self.root = self.outside / "root"
        (self.root / "sub dir").mkdir(parents=True)
        (self.root / "a.jpg").write_bytes(b"0123456789")
        (self.root / "sub dir" / "ä.png").write_bytes(b"deep")
        (self.outside / "secret.jpg").write_bytes(b"secret")
        (self.outside / "root-sibling").mkdir()
        (self.outside / "root-sibling" / "b.jpg").write_bytes(b"secret")
        self.sources = SourceRegistry(reactor, SourceSettings(local_filesystem_root=str(self.root)))

    async def body(self, url: str, limit: int | None = None) -> bytes:
        return (await self.sources.fetch(url, limit, {})).body

    async def test_files_are_read_with_validators(self) -> None:
        image = await self.sources.fetch("local:///a.jpg", None, {})
        self.assertEqual((image.body, image.content_type), (b"0123456789", "image/jpeg"))
        self.assertTrue(image.etag and image.last_modified.endswith("GMT"))

    async def test_an_unchanged_file_is_not_read_again(self) -> None:
        first = await self.sources.fetch("local:///a.jpg", None, {})
        again = await self.sources.fetch("local:///a.jpg", None, {"if-none-match": first.etag})
        self.assertEqual((again.not_modified, again.body, again.etag), (True, b"", first.etag))
        (self.root / "a.jpg").write_bytes(b"edited")
        edited = await self.sources.fetch("local:///a.jpg", None, {"if-none-match": first.etag})
        self.assertEqual((edited.not_modified, edited.body), (False, b"edited"))

    async def test_escapes_queries_and_missing_slashes_in_urls(self) -> None:
        for url in ("local:///sub%20dir/%C3%A4.png", "local:///sub dir/ä.png?version=2", "local://sub dir/ä.png"):
            self.assertEqual(await self.body(url), b"deep")

    async def test_a_name_with_percent_signs_is_tried_as_it_is_first(self) -> None:
        (self.root / "50% off.jpg").write_bytes(b"half")
        (self.root / "a%20b.jpg").write_bytes(b"with a sign")
        self.assertEqual(await self.body("local:///50% off.jpg"), b"half")
        self.assertEqual(await self.body("local:///a%20b.jpg"), b"with a sign")
        (self.root / "a b.jpg").write_bytes(b"with a space")
        self.assertEqual(await self.body("local:///a%20b.jpg"), b"with a sign")
        self.assertEqual(await self.body("local:///a%2520b.jpg"), b"with a sign")
        self.assertEqual(await self.body("local:///a b.jpg"), b"with a space")

    async def test_a_missing_root_is_not_a_missing_file(self) -> None:
        self.root.rename(self.outside / "elsewhere")
        with self.assertRaisesRegex(OriginFailed, "IMGFORGE_LOCAL_FILESYSTEM_ROOT") as caught:
            await self.body("local:///a.jpg")
        self.assertNotIn(str(self.outside), str(caught.exception))
        (self.outside / "elsewhere").rename(self.root)
        self.assertEqual(await self.body("local:///a.jpg"), b"0123456789")

    async def test_without_a_root_the_error_names_the_setting(self) -> None:
        with self.assertRaisesRegex(SourceNotFound, "IMGFORGE_LOCAL_FILESYSTEM_ROOT is not set.*--try"):
            await SourceRegistry(reactor, SourceSettings()).fetch("local:///a.jpg", None, {})

    async def test_links_inside_the_root_are_followed(self) -> None:
        (self.root / "link.jpg").symlink_to("sub dir/ä.png")
        self.assertEqual(await self.body("local:///link.jpg"), b"deep")

    async def test_no_path_leads_out_of_the_root(self) -> None:
        (self.root / "out.jpg").symlink_to(self.outside / "secret.jpg")
        (self.root / "up").symlink_to(self.outside)
        for path in ("../secret.jpg", "%2e%2e/secret.jpg", "sub dir/../../secret.jpg", "out.jpg", "up/secret.jpg",
                     "../root-sibling/b.jpg", "/etc/passwd", "//etc/passwd", "..%2fsecret.jpg",
                     "a.jpg/../../secret.jpg",
                     "%252e%252e/secret.jpg", "a.jpg%00.png", "sub dir", "", "/", "."):  # fmt: skip
            with self.assertRaises(SourceNotFound):
                await self.body(f"local:///{path}")

    async def test_a_named_pipe_does_not_block(self) -> None:
        os.mkfifo(self.root / "pipe.jpg")
        with self.assertRaises(SourceNotFound):
            await self.body("local:///pipe.jpg")

    async def test_nothing_that_is_not_served_is_opened(self) -> None:
        """A writer that waits for a reader of the pipe would find one, and its open would return."""
        pipe = self.outside / "pipe"
        os.mkfifo(pipe)
        os.link(pipe, self.root / "pipe.jpg")
        (self.root / "out.jpg").symlink_to(pipe)
        begun, found_reader = Event(), Event()

        def write() -> None:
            begun.set()
            os.close(os.open(pipe, os.O_WRONLY))
            found_reader.set()

        writer = Thread(target=write, daemon=True)
        writer.start()
        begun.wait()
        state = Path(f"/proc/self/task/{writer.native_id}/stat")
        while state.read_text().rpartition(") ")[2][0] != "S":
            await deferLater(reactor, 0.001)
        for path in ("pipe.jpg", "out.jpg", "../pipe", "sub dir/../../pipe", "..%2fpipe"):
            with self.assertRaises(SourceNotFound):
                await self.body(f"local:///{path}")
        await deferLater(reactor, 0.05)
        found = found_reader.is_set()
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
        await deferToThread(writer.join)
        self.assertFalse(found)

    async def test_no_path_above_the_root_is_looked_at(self) -> None:
        held: list[str] = []
        hold = os.open

        def record(path: str, flags: int) -> int:
            held.append(path)
            return hold(path, flags)

        self.patch(os, "open", record)
        for path in ("../secret.jpg", "sub dir/../../secret.jpg", "..%2f/secret.jpg", f"../{self.root.name}/a.jpg"):
            with self.assertRaises(SourceNotFound):
                await self.body(f"local:///{path}")
        self.assertEqual([path for path in held if ".." in path.split("/")], [])
        (self.root / "sub").mkdir()
        for path in ("sub dir/../a.jpg", "sub%2f./../a.jpg", "sub%2f../sub/../a.jpg"):
            self.assertEqual(await self.body(f"local:///{path}"), b"0123456789", path)

    async def test_the_limit_is_checked_before_reading(self) -> None:
        self.assertEqual(await self.body("local:///a.jpg", 10), b"0123456789")
        with self.assertRaises(SourceTooLarge):
            await self.body("local:///a.jpg", 9)

    async def test_without_a_root_the_source_is_not_found(self) -> None:
        with self.assertRaises(SourceNotFound):
            await SourceRegistry(reactor, SourceSettings()).fetch("local:///a.jpg", None, {})

    async def streamed(self, wanted: str) -> tuple[SourceHead, bytes]:
        transport, heads = StringTransport(), []

        def started(head: SourceHead) -> IConsumer:
            heads.append(head)
            return transport

        streaming = self.sources.stream("local:///a.jpg", {"range": wanted}, started)
        while not streaming.called:
            if transport.producer is not None:
                transport.producer.resumeProducing()
            await deferLater(reactor, 0)
        await streaming
        return heads[0], transport.value()

    async def test_streams_serve_ranges(self) -> None:
        for wanted, status, body in (
            ("", 200, b"0123456789"),
            ("bytes=2-4", 206, b"234"),
            ("bytes=7-", 206, b"789"),
            ("bytes=-2", 206, b"89"),
            ("bytes=0-99", 206, b"0123456789"),
            ("bytes=50-60", 416, b""),
            ("bytes=4-2", 200, b"0123456789"),
            ("lines=1-2", 200, b"0123456789"),
        ):
            head, streamed = await self.streamed(wanted)
            self.assertEqual((head.status, head.length, streamed), (status, len(body), body), wanted)

    async def test_the_media_type_of_images_is_sniffed_where_the_name_has_no_suffix(self) -> None:
        source = SourceRegistry(
            reactor, SourceSettings(local_filesystem_root=str(self.root), media_type_of=sniffed_media_type)
        )
        page = b"<!DOCTYPE html><script>alert(1)</script>"
        for name, body, media_type in (
            ("photo", b"\xff\xd8\xff\xe0 and so on", "image/jpeg"),
            ("photo.unheard-of", b"\x89PNG\r\n\x1a\n", "image/png"),
            ("page", page, "application/octet-stream"),
            ("drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "application/octet-stream"),
            ("paper", b"%PDF-1.7", "application/octet-stream"),
            ("empty", b"", "application/octet-stream"),
            ("named.gif", b"\xff\xd8\xff\xe0", "image/gif"),
        ):
            (self.root / name).write_bytes(body)
            transport = StringTransport()
            heads: list[SourceHead] = []

            def started(head: SourceHead, heads: list[SourceHead] = heads, to: IConsumer = transport) -> IConsumer:
                heads.append(head)
                return to

            await source.stream(f"local:///{name}", {}, started)
            self.assertEqual((heads[0].headers["content-type"], transport.value()), (media_type, body), name)

    async def test_a_failing_medium_is_not_a_missing_file(self) -> None:
        for module, name in ((bounded_file, "pread"), (os, "open")):

            def fail(*_: object, **__: object) -> int:
                raise OSError(errno.EIO, "Input/output error")

            patched = self.patch(module, name, fail)
            with self.assertRaises(OriginFailed):
                await self.body("local:///a.jpg")
            patched.restore()

    async def test_small_and_large_files_are_read_and_closed_whatever_happens(self) -> None:
        large = os.urandom(700_000)
        (self.root / "large.jpg").write_bytes(large)
        self.assertEqual(await self.body("local:///large.jpg"), large)
        self.assertEqual(await self.body("local:///a.jpg", limit=10), b"0123456789")
        with self.assertRaises(SourceTooLarge):
            await self.body("local:///a.jpg", limit=9)

        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        self.patch(bounded_file, "pread", fail)
        for name in ("a.jpg", "large.jpg"):
            with self.assertRaises(OriginFailed):
                await self.body(f"local:///{name}")
        while self.open_files():  # a thread closes the large one
            await deferLater(reactor, 0.005)

    def open_files(self) -> list[str]:
        names = []
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                names.append(os.readlink(entry))
        return [name for name in names if name.startswith(f"{self.root}/")]


class HungFileTests(TestCase):
    """Reads of `hung*` block until `release`, as on a dead share; `beat` shows that the reactor is not blocked."""

    timeout = 60

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        for name in ("hung.jpg", "well.jpg"):
            (self.root / name).write_bytes(b"0123456789")
        self.clock = ThreadedClock()
        self.source = LocalSource(
            self.clock,  # type: ignore[arg-type]
            scratch.name,
            timeout=10.0,
            query_separator="?",
            media_type_of=sniffed_media_type,
        )
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.release = Event()
        self.addCleanup(self.release.set)
        self.patch(bounded_file, "pread", self.pread)

    def hang(self, descriptor: int) -> None:
        self.begun.append(descriptor)
        self.release.wait(30)  # if it blocks the reactor, this timeout ends it, and the test fails
        self.ended.append(descriptor)

    def pread(self, descriptor: int, size: int, start: int) -> bytes:
        if "hung" in os.readlink(f"/proc/self/fd/{descriptor}"):
            self.hang(descriptor)
        return os.pread(descriptor, size, start)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await deferLater(reactor, 0.005)

    async def beat(self) -> None:
        """The reactor and threads for other work run while the blocked read is still blocked."""
        await deferLater(reactor, 0)
        self.assertEqual(await deferToThread(lambda: "well"), "well")
        self.assertEqual(self.ended, [])

    async def freed(self, descriptor: int) -> None:
        """The descriptor is closed once its read has ended."""
        os.fstat(descriptor)
        self.release.set()

        def closed() -> bool:
            try:
                os.fstat(descriptor)
            except OSError:
                return True
            return False

        await self.until(closed)

    async def hung_stream(self) -> tuple[Deferred[None], StringTransport]:
        transport = StringTransport()
        streaming = self.source.stream("local:///hung.jpg", {}, lambda _: transport)
        await self.until(lambda: len(self.begun) == 1)
        return streaming, transport

    async def test_a_cancelled_fetch_does_not_wait_for_a_blocked_read(self) -> None:
        fetching = self.source.fetch("local:///hung.jpg", None, {})
        await self.until(lambda: len(self.begun) == 1)
        fetching.cancel()
        self.failureResultOf(fetching, CancelledError)
        await self.beat()
        await self.freed(self.begun[0])

    async def test_a_cancelled_stream_does_not_wait_for_a_blocked_read(self) -> None:
        for stop in (lambda stream, _: stream.cancel(), lambda _, transport: transport.producer.stopProducing()):
            streaming, transport = await self.hung_stream()
            stop(streaming, transport)
            self.failureResultOf(streaming, CancelledError)
            self.assertIsNone(transport.producer)
            await self.beat()
            await self.freed(self.begun[0])
            self.release.clear()
            del self.begun[:], self.ended[:]

    async def test_a_blocked_read_times_out(self) -> None:
        fetching = self.source.fetch("local:///hung.jpg", None, {})
        await self.until(lambda: len(self.begun) == 1)
        self.clock.advance(9.9)
        self.assertNoResult(fetching)
        self.clock.advance(0.2)
        self.failureResultOf(fetching, OriginTimeout)
        await self.beat()
        self.assertEqual((await self.source.fetch("local:///well.jpg", None, {})).body, b"0123456789")
        await self.freed(self.begun[0])

    async def test_a_blocked_read_of_a_stream_times_out(self) -> None:
        streaming, transport = await self.hung_stream()
        self.clock.advance(10.1)
        self.failureResultOf(streaming, OriginTimeout)
        self.assertIsNone(transport.producer)
        await self.beat()
        await self.freed(self.begun[0])

    async def test_a_file_that_opens_after_the_cancellation_is_closed(self) -> None:
        opened: list[int] = []
        open_file = self.source._open

        def late_open(name: str) -> bounded_file.OpenFile:
            self.hang(-1)
            file = open_file(name)
            opened.append(file._descriptor)
            return file

        self.patch(self.source, "_open", late_open)
        fetching = self.source.fetch("local:///well.jpg", None, {})
        await self.until(lambda: len(self.begun) == 1)
        fetching.cancel()
        self.failureResultOf(fetching, CancelledError)
        await self.beat()
        self.release.set()
        await self.until(lambda: bool(opened) and not Path(f"/proc/self/fd/{opened[0]}").exists())

    async def test_a_dead_mount_blocks_half_of_the_threads_then_reads_fail_at_once(self) -> None:
        fetching = [self.source.fetch("local:///hung.jpg", None, {}) for _ in range(8)]
        await self.until(lambda: len(self.begun) == 8)
        self.assertEqual((await self.source.fetch("local:///well.jpg", None, {})).body, b"0123456789")
        self.clock.advance(10.1)
        for fetch in fetching:
            self.failureResultOf(fetch, OriginTimeout)
        self.failureResultOf(self.source.fetch("local:///hung.jpg", None, {}), OriginTimeout)
        await self.beat()
        self.release.set()
        await self.until(lambda: not self.source._threads.stalled)
        self.assertEqual((await self.source.fetch("local:///hung.jpg", None, {})).body, b"0123456789")
