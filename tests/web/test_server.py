"""Responses and their log lines: errors, streams, targets."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.web.server import Request
from zope.interface import implementer, provider

from imgforge.errors import (
    BadSignature,
    ImgforgeError,
    NotAnImage,
    OriginFailed,
    Overloaded,
    SourceNotFound,
    Unreadable,
)
from imgforge.observability import IRequestObserver, RequestRecord, bind_request, current_request_id, logged_target
from imgforge.web import Answer, ConnectionLimits, ImageSite, Route, ServerSettings
from imgforge.web.explained_errors import DevelopmentErrors
from imgforge.web.server import Server
from tests.support.site_case import SiteCase

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class StreamTests(SiteCase):
    def test_client_that_closes_during_a_stream_is_logged_with_499(self) -> None:
        self.ask(GET % b"/stream")
        self.slow.errback(CancelledError())  # as the source does when the transport is closed
        self.assertEqual([line.status for line in self.access.lines], [499])

    def test_bytes_of_a_stream_are_counted(self) -> None:
        self.ask(GET % b"/stream")
        self.slow.callback(Answer(200, []))
        self.ask(GET % b"/stream")
        self.slow = Deferred()
        self.ask(GET % b"/stream")
        self.slow.errback(OriginFailed("it broke off"))
        self.assertEqual([(line.status, line.size) for line in self.access.lines], [(200, 4), (200, 4), (502, 4)])


class FaultTests(SiteCase):
    """Answers that cannot be written."""

    def test_message_with_a_name_that_is_not_utf8_is_written(self) -> None:
        _, transport = self.ask(GET % b"/slow")
        self.slow.errback(SourceNotFound("no file 'a\udcff.jpg'"))  # as os.listdir has it
        self.assertTrue(transport.value().endswith(b"no file 'a\\udcff.jpg'\n"))

    def test_connection_of_an_answer_that_cannot_be_written_is_closed(self) -> None:
        wrong: Any = None
        _, transport = self.ask(GET % b"/slow")
        self.slow.callback(Answer(200, [(b"X-Wrong", wrong)], b"body"))
        self.assertEqual((transport.value(), transport.disconnecting), (b"", True))
        self.assertEqual([(line.status, line.level) for line in self.access.lines], [(500, "error")])
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class MethodTests(SiteCase):
    def test_the_methods_that_are_allowed_are_named(self) -> None:
        _, transport = self.ask(b"DELETE" + GET[3:] % b"/unsafe/plain/http://host/a.png")
        self.assertIn(b"the method must be GET or HEAD here", transport.value())


class SecretTests(SiteCase):
    def test_query_of_events_which_may_be_a_secret_is_not_logged(self) -> None:
        for target, logged in (
            (b"/events?token=secret", "/events"),
            (b"HTTP://host/events?token=secret", "HTTP://host/events"),
            (b"/unsafe/plain/http://host/events?a=b", "/unsafe/plain/http://host/events?a=b"),
        ):
            for asked in (GET % target, b"POST" + GET[3:] % target):  # the latter is 405 here
                self.ask(asked)
                self.assertEqual(self.access.lines.pop().target, logged)
        _, transport = self.ask(b"POST /events?token=secret HTTP/1.1\r\nHost: x\r\n")
        self.clock.advance(5)
        self.assertIn(b" 408 ", transport.value())
        self.assertEqual(self.access.lines.pop().target, "/events")

    def test_hints_of_an_explained_error_do_not_have_the_query_of_events(self) -> None:
        targets: list[bytes] = []

        def hints(_: ImgforgeError, target: bytes) -> list[str]:
            targets.append(target)
            return []

        async def refuse(_: Request) -> Answer:
            raise BadSignature("no")

        chosen = ServerSettings(development_errors=DevelopmentErrors(hints).answer)
        server = Server(self.clock, [Route(b"", "o", refuse, prefix=True)], self.metrics, self.access, chosen)
        self.site = ImageSite(server, self.clock, ConnectionLimits(keep_alive=60, read_timeout=5))
        for target in (b"/events?token=secret", b"/image?x"):
            self.ask(GET % target)
        self.assertEqual(targets, [b"/events", b"/image?x"])


@implementer(IRequestObserver)
class Observer:
    """Keeps the records of requests, and their header `Traceparent`."""

    def __init__(self) -> None:
        self.begins: list[tuple[RequestRecord, bytes]] = []
        self.ends: list[RequestRecord] = []
        self.failures: list[BaseException | None] = []

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """Keep *record*."""
        self.begins.append((record, header(b"traceparent")))

    def ended(self, record: RequestRecord) -> None:
        """Keep *record*."""
        self.ends.append(record)
        self.failures.append(record.failure)


@implementer(IRequestObserver)
class Deaf:
    """Fails whenever it is told something."""

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """Fail."""
        raise RuntimeError("deaf to the begin")

    def ended(self, record: RequestRecord) -> None:
        """Fail."""
        raise RuntimeError("deaf to the end")


class ObserverTests(SiteCase):
    """The observer comes after one that always fails."""

    def setUp(self) -> None:
        self.observer = Observer()
        self.observers = (Deaf(), self.observer)
        super().setUp()

    def tearDown(self) -> None:
        self.flushLoggedErrors(RuntimeError)

    def test_observer_is_told_of_each_begin_and_end_although_another_one_fails(self) -> None:
        _, wire = self.ask(b"GET /slow?a=b HTTP/1.1\r\nHost: x\r\nTraceparent: 00-1\r\nReferer: there\r\n\r\n")
        ((record, header),) = self.observer.begins
        self.assertEqual((record.method, record.target, record.route, header), ("GET", b"/slow?a=b", "s", b"00-1"))
        self.assertEqual(self.observer.ends, [])
        self.clock.advance(2.5)
        self.slow.callback(Answer(200, [(b"Cache-Status", b"imgforge; hit")], b"body"))
        self.assertEqual(self.observer.ends, [record])
        self.assertEqual((record.status, record.size, record.duration), (200, 4, 2.5))
        self.assertEqual((record.cache, record.referrer, record.failure), ("imgforge; hit", "there", None))
        self.assertIn(b"200 OK", wire.value())
        self.assertEqual(
            [str(one.value) for one in self.flushLoggedErrors(RuntimeError)], ["deaf to the begin", "deaf to the end"]
        )

    def test_observer_learns_why_a_request_failed(self) -> None:
        self.ask(GET % b"/slow")
        error = OriginFailed("it broke off")
        self.slow.errback(error)
        (record,) = self.observer.ends
        self.assertEqual((self.observer.failures, record.failure), ([error], None))  # it is not kept any longer
        self.assertEqual((record.status, record.error), (502, "it broke off"))

    def test_observer_is_told_of_a_client_that_leaves(self) -> None:
        self.ask(GET % b"/stream")
        self.slow.errback(CancelledError())
        self.assertEqual([record.status for record in self.observer.ends], [499])


class PathPrefixTests(SiteCase):
    path_prefix = b"/he"

    def setUp(self) -> None:
        self.observer = Observer()
        self.observers = [self.observer]
        super().setUp()

    def test_path_prefix_is_removed_with_whole_segments_only(self) -> None:
        for target, route in (
            (b"/he/health", "h"),
            (b"/health", "h"),
            (b"HTTP://host/he/quick?a=b", "q"),
            (b"/he/he/quick", "o"),
            (b"/he", "o"),
        ):
            self.ask(GET % target)
            self.assertEqual(self.observer.ends.pop().route, route, target)


class ErrorLogTests(SiteCase):
    """Log lines of errors."""

    def setUp(self) -> None:
        super().setUp()
        self.events: list[LogEvent] = []
        self.ids: list[str] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event.get("log_namespace") == Server.log.namespace:
                self.events.append(event)
                self.ids.append(current_request_id())

        observer: ILogObserver = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def logged(self, target: bytes, error: Exception) -> LogEvent:
        self.slow = Deferred()
        self.ask(GET % (b"http://x/slow?" + target))
        self.slow.errback(error)
        return self.events.pop()

    def test_log_line_names_the_request_and_the_reason(self) -> None:
        event = self.logged(b"", SourceNotFound("it is not there"))
        self.assertEqual(formatEvent(event), "404 GET http://x/slow...: it is not there")
        self.assertEqual((event["status"], event["method"], event["target"]), (404, "GET", "http://x/slow..."))
        self.logged(b"", RuntimeError("broken"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_log_line_has_the_id_of_its_request_in_whatever_context_the_endpoint_fails(self) -> None:
        self.ask(b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n")

        def bring() -> None:
            bind_request(RequestRecord("another's"))
            self.slow.errback(OriginFailed("x"))

        copy_context().run(bring)
        self.assertEqual(self.ids, ["mine"])

    def test_statuses_without_a_phrase_in_twisted_web_have_one(self) -> None:
        for error, line in (
            (NotAnImage("x"), b"HTTP/1.1 422 Unprocessable"),
            (Overloaded("x"), b"HTTP/1.1 429 Too Many Requests\r\n"),
            (Unreadable(431, "x"), b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        ):
            self.slow = Deferred()
            _, transport = self.ask(GET % b"/slow")
            self.slow.errback(error)
            self.assertTrue(transport.value().startswith(line), transport.value())

    def test_targets_are_logged_in_the_bytes_that_were_sent(self) -> None:
        for target, logged in (
            (b"/w%3A1/a%2520b.jpg", "/w%3A1/a%2520b.jpg"),
            ("/\u00fc.jpg".encode(), "/\u00fc.jpg"),
            (b"/\xfc.jpg", r"/\xfc.jpg"),
        ):
            self.assertEqual(logged_target(target), logged)
        self.assertEqual(logged_target("/\u00fc\ud800.jpg"), "/\u00fc\\ud800.jpg")  # of a job in a queue

    def test_users_and_passwords_are_not_logged(self) -> None:
        for source in ("http://me:hush@o/a.jpg", "http%3A%2F%2Fme%3Ahush%40o%2Fa.jpg"):
            self.assertNotIn("hush", logged_target(f"/quick/plain/{source}".encode()))
        self.assertEqual(logged_target(b"/quick/plain/http://o/a@2x.jpg@webp"), "/quick/plain/http://o/a@2x.jpg@webp")

    def test_queries_are_not_logged(self) -> None:
        for target in (b"/quick/plain/http://o/a.jpg?secret", b"/quick/plain/http%3A%2F%2Fo%2Fa.jpg%3Fsecret"):
            self.ask(b"POST %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            event = self.events.pop()
            self.assertNotIn("secret", formatEvent(event))
            self.assertIn("a.jpg...", event["target"])
        self.ask(b"POST /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 5000))
        self.assertLess(len(self.events.pop()["target"]), 600)

    def test_client_mistakes_are_debug_lines_beside_an_access_log(self) -> None:
        for enabled, error, level in (
            (True, OriginFailed("x"), LogLevel.warn),
            (True, NotAnImage("x"), LogLevel.info),
            (True, BadSignature("x"), LogLevel.debug),
            (False, BadSignature("x"), LogLevel.info),
        ):
            self.access.enabled = enabled
            self.assertEqual(self.logged(b"", error)["log_level"], level, error)
