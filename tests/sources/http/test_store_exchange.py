"""What the one HTTP source does for every object store: signs, learns from refusals, retries, throttles, hedges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from imgforge.errors import OriginFailed, OriginTimeout, SourceMissing, SourceNotFound, SourceRefused
from imgforge.interfaces import unlimited_reserve
from imgforge.observability import WorkRecord
from imgforge.sources.http import HttpSource
from imgforge.sources.http.origin_request import IOriginKind
from tests.support.corrected_store import CorrectedStore
from tests.support.http_case import SETTINGS
from tests.support.logged_lines import logged_lines
from tests.support.paced_reactor import PacedReactor
from tests.support.scripted_origin import ScriptedOrigin, reactor, response


class StoreCase(TestCase):
    """Fetches s3://photos/a.jpg from an origin that a test scripts, by the time of `reactor`."""

    reactor: Any = reactor

    def setUp(self) -> None:
        self.lines = logged_lines(self)

    def store(self, *answers: Any, **changes: Any) -> HttpSource:
        """A source whose store gives *answers*, one after the other, the last one for ever."""
        left = list(answers)
        origin = self.origin = ScriptedOrigin(lambda _: left.pop(0) if len(left) > 1 else left[0])
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        self.kind = CorrectedStore(self.origin)
        source = HttpSource(self.reactor, replace(SETTINGS, **changes), self.kind)
        self.addCleanup(source.close)
        return source

    def fetch(self, source: HttpSource, url: str = "s3://photos/a.jpg", **headers: str) -> Deferred[Any]:
        return source.fetch(url, None, {name.replace("_", "-"): value for name, value in headers.items()})


class RequestTests(StoreCase):
    def test_the_store_of_these_tests_is_one(self) -> None:
        self.store(b"")
        verifyObject(IOriginKind, self.kind)

    async def test_a_signed_request_brings_the_original(self) -> None:
        image = await self.fetch(self.store(response(b"picture", ETag='"v1"')))
        self.assertEqual((image.body, image.etag, image.redirected_to), (b"picture", '"v1"', ""))
        self.assertIn(b"authorization: signed for here", self.origin.heads[0].lower())

    async def test_headers_that_may_be_credentials_do_not_go_to_the_store(self) -> None:
        source = self.store(response(b"picture"), custom_headers={"x-token": "for the web"})
        await self.fetch(source, cookie="client=1", x_custom="1", accept_language="eo")
        (head,) = self.origin.heads
        self.assertIn(b"eo", head)
        for secret in (b"client=1", b"x-custom", b"x-token"):
            self.assertNotIn(secret, head.lower())

    async def test_a_bucket_that_is_not_allowed_is_never_asked(self) -> None:
        source = self.store(response(b"picture"))
        await self.assertFailure(self.fetch(source, "s3://photos/secret/a.jpg"), SourceRefused)
        self.assertEqual(self.origin.heads, [])


class RefusalTests(StoreCase):
    async def test_what_the_store_learns_is_tried_once(self) -> None:
        moved = response(b"moved", "301 Moved Permanently", X_Region="there", Location="http://127.0.0.1:1/elsewhere")
        image = await self.fetch(self.store(moved, response(b"picture")))
        self.assertEqual(image.body, b"picture")
        signed = [head.partition(b"signed for ")[2].partition(b"\r")[0] for head in self.origin.heads]
        self.assertEqual(signed, [b"here", b"there"])
        (refusal,) = self.kind.refusals
        self.assertEqual((refusal.status, refusal.body, refusal.headers["x-region"]), (301, b"moved", "there"))

    async def test_a_second_refusal_is_final(self) -> None:
        moved = [response(b"moved", "400 Bad Request", X_Region=region) for region in ("there", "elsewhere")]
        await self.assertFailure(self.fetch(self.store(*moved, response(b"picture"))), SourceNotFound)
        self.assertEqual(len(self.origin.heads), 2)

    async def test_credentials_that_are_rejected_are_an_outage_on_the_first_try_and_on_the_second(self) -> None:
        expired = response(b"ExpiredToken", "400 Bad Request", X_Region="there")
        for answers in ((expired,), (expired, response(b"ExpiredToken", "403 Forbidden", X_Region="elsewhere"))):
            self.store(*answers)
            self.kind.retries = 0
            source = HttpSource(reactor, SETTINGS, self.kind)
            self.addCleanup(source.close)
            error = await self.assertFailure(self.fetch(source), OriginFailed)
            self.assertEqual(error.message, "this server cannot authenticate with the object store")
            self.assertEqual((error.cause, len(self.origin.heads)), ("ExpiredToken", 2))

    async def test_the_cause_is_for_the_log_and_not_for_the_client(self) -> None:
        source = self.store(response(b"AccessDenied: key AKIA7 may not", "403 Forbidden"))
        error = await self.assertFailure(self.fetch(source, "s3://photos/a.jpg?version"), SourceNotFound)
        self.assertEqual(error.message, "the origin answered 403")
        (line,) = [line for line in self.lines if "AccessDenied" in line]
        self.assertIn("s3://photos/a.jpg:", line)
        self.assertNotIn("version", line)

    async def test_a_missing_object_is_one(self) -> None:
        await self.assertFailure(self.fetch(self.store(response(b"NoSuchKey", "404 Not Found"))), SourceMissing)

    async def test_a_refusal_of_any_length_is_read_up_to_64_kib(self) -> None:
        for length, read in ((65536, 65536), (65537, 0), (10_000_000, 0)):
            source = self.store(response(b"x" * length, "403 Forbidden"))
            await self.assertFailure(self.fetch(source), SourceNotFound)
            self.assertEqual([len(refusal.body) for refusal in self.kind.refusals], [read])


class OutageTests(StoreCase):
    SLOW_DOWN = response(b"SlowDown", "503 Slow Down")

    async def test_a_store_that_is_busy_is_asked_again_on_another_connection(self) -> None:
        for status in ("500 Internal Server Error", "503 Slow Down", "429 Too Many Requests"):
            image = await self.fetch(self.store(response(b"later", status), response(b"picture")))
            self.assertEqual((image.body, self.origin.connected), (b"picture", 2), status)

    async def test_a_connection_that_breaks_in_the_head_or_the_body_is_made_again(self) -> None:
        def reset(transport: Any) -> None:
            transport.abortConnection()

        def truncated(transport: Any) -> None:
            transport.write(response(b"picture")[:-3])
            transport.loseConnection()

        for fault in (reset, truncated):
            image = await self.fetch(self.store(fault, response(b"picture")))
            self.assertEqual((image.body, len(self.origin.heads)), (b"picture", 2))

    async def test_a_store_that_is_down_is_an_outage_and_nothing_missing(self) -> None:
        error = await self.assertFailure(self.fetch(self.store(self.SLOW_DOWN)), OriginFailed)
        self.assertEqual((error.status, error.logged), (502, "the origin answered 503 (SlowDown)"))
        self.assertEqual(len(self.origin.heads), 3)

    async def test_each_try_is_a_step_of_the_work_and_a_hedge_too(self) -> None:
        work = WorkRecord()
        source = self.store(self.SLOW_DOWN, response(b"picture"))
        await source.fetch("s3://photos/a.jpg", None, {}, unlimited_reserve, work)
        failed, fetched = work.steps
        self.assertEqual([step.attributes["retry"] for step in work.steps], [0, 1])
        self.assertIsInstance(failed.error, OriginFailed)
        self.assertLessEqual(failed.ended, fetched.began)
        self.assertEqual((fetched.error, fetched.attributes["bytes"]), (None, 7))
        self.assertEqual(fetched.attributes["origin"], "s3://photos")

    async def test_a_second_request_to_a_store_that_is_late_is_a_step(self) -> None:
        quick, late = response(b"picture"), lambda _: None
        source = self.store(*[quick] * 20, late, quick, hedge=True)
        for _ in range(20):  # so that the source knows how long the store takes
            await self.fetch(source)
        work = WorkRecord()
        image = await source.fetch("s3://photos/a.jpg", None, {}, unlimited_reserve, work)
        self.assertEqual((image.body, len(self.origin.heads)), (b"picture", 22))
        self.assertEqual([step.name for step in work.steps], ["hedge", "attempt"])
        self.assertGreater(work.steps[0].began, work.steps[1].began)

    async def test_the_operators_number_of_retries_is_kept(self) -> None:
        self.store(self.SLOW_DOWN)
        self.kind.retries = 0
        source = HttpSource(reactor, SETTINGS, self.kind)
        self.addCleanup(source.close)
        await self.assertFailure(self.fetch(source), OriginFailed)
        self.assertEqual(len(self.origin.heads), 1)


class SilentStoreTests(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.reactor = self.clock = PacedReactor()

    @staticmethod
    def silent(transport: Any) -> None:
        transport.write(response(b"picture")[:-3])

    async def test_a_body_that_falls_silent_is_asked_for_again_on_another_connection(self) -> None:
        source = self.store(self.silent, self.silent, response(b"picture"), download_timeout=2.0)
        fetching = source.fetch("s3://photos/a.jpg", None, {})
        await self.clock.pass_until(lambda: fetching.called)
        image = await fetching
        self.assertEqual((image.body, len(self.origin.heads), self.origin.connected), (b"picture", 3, 3))
        self.assertTrue(any("silent for 0.5 seconds in the middle of the body" in line for line in self.lines))

    async def test_the_last_attempt_has_all_the_time_that_is_left(self) -> None:
        fetching = self.store(self.silent, download_timeout=2.0).fetch("s3://photos/a.jpg", None, {})
        await self.clock.pass_until(lambda: fetching.called)
        await self.assertFailure(fetching, OriginTimeout)
        self.assertEqual(len(self.origin.heads), 3)

    async def test_time_in_which_the_store_has_to_wait_for_memory_does_not_count(self) -> None:
        body = b"picture " * 200_000
        granted: list[Deferred[None]] = []

        def reserve(_: int) -> Deferred[None]:
            granted.append(Deferred())
            self.clock.callLater(0.6, granted[-1].callback, None)  # twice the limit
            return granted[-1]

        unframed = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body

        def send(transport: Any) -> None:
            transport.write(unframed)
            transport.loseConnection()

        fetching = self.store(send, download_timeout=1.0).fetch("s3://photos/a.jpg", None, {}, reserve)
        await self.clock.pass_until(lambda: fetching.called)
        image = await fetching
        self.assertEqual((len(image.body), len(self.origin.heads)), (len(body), 1))
        self.assertGreater(len(granted), 0)
