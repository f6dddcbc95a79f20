"""local:// serves regular files below its root, and nothing else by any spelling."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.internet.interfaces import IConsumer
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from imgforge.errors import SourceNotFound, SourceTooLarge
from imgforge.model import SourceHead
from imgforge.sources import Sources, SourceSettings
from tests.sources._origin import reactor


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
        self.sources = Sources(reactor, SourceSettings(local_filesystem_root=str(self.root)))

    async def body(self, url: str, limit: int | None = None) -> bytes:
        return (await self.sources.fetch(url, limit, {})).body

    async def test_files_are_read_with_validators(self) -> None:
        got = await self.sources.fetch("local:///a.jpg", None, {})
        self.assertEqual((got.body, got.content_type), (b"0123456789", "image/jpeg"))
        self.assertTrue(got.etag and got.last_modified.endswith("GMT"))

    async def test_a_file_that_has_not_changed_is_not_read_again(self) -> None:
        first = await self.sources.fetch("local:///a.jpg", None, {})
        again = await self.sources.fetch("local:///a.jpg", None, {"if-none-match": first.etag})
        self.assertEqual((again.unchanged, again.body, again.etag), (True, b"", first.etag))
        (self.root / "a.jpg").write_bytes(b"edited")
        edited = await self.sources.fetch("local:///a.jpg", None, {"if-none-match": first.etag})
        self.assertEqual((edited.unchanged, edited.body), (False, b"edited"))

    async def test_escapes_queries_and_missing_slashes(self) -> None:
        for url in ("local:///sub%20dir/%C3%A4.png", "local:///sub dir/ä.png?version=2", "local://sub dir/ä.png"):
            self.assertEqual(await self.body(url), b"deep")

    async def test_a_name_with_percent_signs_is_what_it_says(self) -> None:
        (self.root / "50% off.jpg").write_bytes(b"half")
        (self.root / "a%20b.jpg").write_bytes(b"with a sign")
        self.assertEqual(await self.body("local:///50% off.jpg"), b"half")
        self.assertEqual(await self.body("local:///a%20b.jpg"), b"with a sign")
        (self.root / "a b.jpg").write_bytes(b"with a space")
        self.assertEqual(await self.body("local:///a%20b.jpg"), b"with a sign")
        self.assertEqual(await self.body("local:///a%2520b.jpg"), b"with a sign")
        self.assertEqual(await self.body("local:///a b.jpg"), b"with a space")

    async def test_links_inside_the_root_are_followed(self) -> None:
        (self.root / "link.jpg").symlink_to("sub dir/ä.png")
        self.assertEqual(await self.body("local:///link.jpg"), b"deep")

    async def test_nothing_leads_out(self) -> None:
        (self.root / "out.jpg").symlink_to(self.outside / "secret.jpg")
        (self.root / "up").symlink_to(self.outside)
        for path in ("../secret.jpg", "%2e%2e/secret.jpg", "sub dir/../../secret.jpg", "out.jpg", "up/secret.jpg",
                     "../root-sibling/b.jpg", "/etc/passwd", "//etc/passwd", "..%2fsecret.jpg",
                     "a.jpg/../../secret.jpg",
                     "%252e%252e/secret.jpg", "a.jpg%00.png", "sub dir", "", "/", "."):  # fmt: skip
            with self.assertRaises(SourceNotFound):
                await self.body(f"local:///{path}")

    async def test_a_named_pipe_holds_nothing_up(self) -> None:
        os.mkfifo(self.root / "pipe.jpg")
        with self.assertRaises(SourceNotFound):
            await self.body("local:///pipe.jpg")

    async def test_the_limit_is_checked_before_reading(self) -> None:
        self.assertEqual(await self.body("local:///a.jpg", 10), b"0123456789")
        with self.assertRaises(SourceTooLarge):
            await self.body("local:///a.jpg", 9)

    async def test_without_a_root_there_is_no_such_source(self) -> None:
        with self.assertRaises(SourceNotFound):
            await Sources(reactor, SourceSettings()).fetch("local:///a.jpg", None, {})

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

    async def test_streams_answer_ranges(self) -> None:
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
            head, got = await self.streamed(wanted)
            self.assertEqual((head.status, head.length, got), (status, len(body), body), wanted)
