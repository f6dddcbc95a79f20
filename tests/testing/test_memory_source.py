"""The fakes of `imgforge.testing` keep to the interfaces that they stand in for."""

from __future__ import annotations

import subprocess
import sys

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imgforge.errors import SourceNotFound, SourceTooLarge
from imgforge.interfaces import ICacheTier, ISource
from imgforge.model import SourceHead, SourceImage
from imgforge.testing import FaultyTier, MemoryConsumer, MemorySource, MemoryTier

URL = "memory://a"
BODY = bytes(range(256)) * 1000


class InterfaceTests(SynchronousTestCase):
    def test_the_fakes_provide_their_interfaces(self) -> None:
        for interface, fake in (
            (ISource, MemorySource()),
            (IConsumer, MemoryConsumer()),
            (ICacheTier, MemoryTier(1000, 10)),
            (ICacheTier, FaultyTier()),
        ):
            self.assertTrue(verifyObject(interface, fake))

    def test_the_server_imports_none_of_them(self) -> None:
        program = "import sys, imgforge.service, imgforge.cli; sys.exit('imgforge.testing' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], check=False)
        self.assertEqual(done.returncode, 0)


class FetchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.source = MemorySource({URL: SourceImage(b"image", etag='"1"'), "memory://b": b"bytes"})

    def test_it_serves_images_and_bytes_and_records_requests(self) -> None:
        for url, body in ((URL, b"image"), ("memory://b", b"bytes")):
            self.assertEqual(self.successResultOf(self.source.fetch(url, None, {"a": "b"})).body, body)
        self.assertEqual(self.source.requests, [(URL, {"a": "b"}), ("memory://b", {"a": "b"})])

    def test_an_unknown_url_is_not_found(self) -> None:
        self.failureResultOf(self.source.fetch("memory://c", None, {}), SourceNotFound)
        self.failureResultOf(self.source.stream("memory://c", {}, MemoryConsumer().started), SourceNotFound)

    def test_the_limit_comes_before_the_reservation(self) -> None:
        reserved: list[int] = []

        def reserve(size: int) -> Deferred[None]:
            reserved.append(size)
            return succeed(None)

        self.failureResultOf(self.source.fetch(URL, 4, {}, reserve), SourceTooLarge)
        self.assertEqual(reserved, [])
        self.successResultOf(self.source.fetch(URL, 5, {}, reserve))
        self.assertEqual(reserved, [5])

    def test_a_matching_validator_brings_no_body(self) -> None:
        image = self.successResultOf(self.source.fetch(URL, None, {"if-none-match": '"1"'}))
        self.assertEqual((image.not_modified, image.body, image.etag), (True, b"", '"1"'))

    def test_close_is_recorded(self) -> None:
        self.successResultOf(self.source.close())
        self.assertTrue(self.source.closed)


class StreamTests(SynchronousTestCase):
    def stream(self, **headers: str) -> MemoryConsumer:
        consumer = MemoryConsumer()
        self.successResultOf(MemorySource({URL: BODY}).stream(URL, headers, consumer.started))
        return consumer

    def test_it_sends_the_whole_original(self) -> None:
        consumer = self.stream()
        self.assertEqual(consumer.head, SourceHead(200, {"accept-ranges": "bytes"}, len(BODY)))
        self.assertEqual(consumer.body, BODY)

    def test_it_sends_a_range(self) -> None:
        consumer = self.stream(range="bytes=10-19")
        assert consumer.head is not None
        self.assertEqual((consumer.head.status, consumer.head.length), (206, 10))
        self.assertEqual(consumer.head.headers["content-range"], f"bytes 10-19/{len(BODY)}")
        self.assertEqual(consumer.body, BODY[10:20])

    def test_a_range_outside_the_original_is_416(self) -> None:
        consumer = self.stream(range="bytes=999999-")
        assert consumer.head is not None
        self.assertEqual((consumer.head.status, consumer.body), (416, b""))
