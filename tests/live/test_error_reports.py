"""The started server reports errors to four services: without secrets, and few of a storm."""

from __future__ import annotations

import base64
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from imgforge import __version__
from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, Twistd, wait_for
from tests.support.report_receivers import Posted, ReportReceiver
from tests.support.service_case import ServiceCase

SECRETS = {"Authorization": "Bearer hush-token", "Cookie": "session=hush-cookie", "X-Api-Key": "hush-header"}
HEADERS = SECRETS | {"User-Agent": "curl/8", "Accept": "image/webp", "X-Request-ID": "request-1"}

FAULTY = """
from twisted.plugin import IPlugin
from zope.interface import implementer

from imgforge.interfaces import ISource, ISourceFactory


@implementer(ISource)
class Faulty:
    scheme = "faulty"

    def fetch(self, url, limit, headers, reserve=None):
        try:
            {}["no such key"]
        except KeyError as error:
            raise ValueError("bad: http://user:hush@host/a?sig=hush and hush-secret") from error

    def close(self):
        pass


@implementer(IPlugin, ISourceFactory)
class Factory:
    schemes = ("faulty",)

    def make(self, reactor, settings):
        return Faulty()


factory = Factory()
"""


def error_of(posted: Posted) -> tuple[str, str]:
    """The class and the message of the error."""
    body: Any = posted.body
    if posted.service == "sentry":
        last = body["exception"]["values"][-1]
        return last["type"], last["value"]
    if posted.service == "bugsnag":
        first = body["events"][0]["exceptions"][0]
        return first["errorClass"], first["message"]
    if posted.service == "honeybadger":
        return body["error"]["class"], body["error"]["message"]
    return body["errors"][0]["type"], body["errors"][0]["message"]


class ReportCase(ServiceCase):
    def setUp(self) -> None:
        self.receiver = ReportReceiver()
        self.addCleanup(self.receiver.close)
        body = encode(gradient(40, 30), "PNG")
        self.origin = Origin({"/a.png": body, "/broken.png": body[:60] + b"\0" * 60})
        self.addCleanup(self.origin.close)

    def reporting(self, *services: str, **settings: str) -> Twistd:
        common = {"PROCESSES": "1", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "SOURCE_RETRIES": "0"}
        return self.server(**common | self.receiver.settings(*services) | settings).start()

    def path(self, name: str, options: str = "w:20") -> str:
        return f"/unsafe/{options}/plain/{self.origin.url(name)}%3Ftoken=hush-query"


class FourServicesTests(ReportCase):
    def test_failing_origin_is_reported_to_each_service_as_it_wants_it(self) -> None:
        server = self.reporting(
            SENTRY_RELEASE="shop@5", BUGSNAG_STAGE="eu", HONEYBADGER_ENV="eu", SENTRY_ENVIRONMENT="eu"
        )
        self.origin.status = 503
        self.assertEqual(server.get(self.path("/a.png"), HEADERS).status, 502)
        wait_for(lambda: len(self.receiver.reports) == 4, "four reports")
        self.assertEqual(self.receiver.refused, [])
        for posted in self.receiver.reports:
            kind, message = error_of(posted)
            self.assertEqual(kind, "OriginFailed", posted.service)
            self.assertIn("503", message)
            for part in ("curl/8", "image/webp", "request-1", f"http://{self.origin.host}", "/***/w:20/plain/"):
                self.assertIn(part, posted.raw, posted.service)
            self.assertNotIn("hush", posted.raw, posted.service)
            self.assertNotIn("unsafe", posted.raw, posted.service)
        self._check_sentry()
        self._check_others()

    def _check_sentry(self) -> None:
        (sentry,) = self.receiver.of("sentry")
        context = sentry.body["contexts"]["Processing context"]
        self.assertEqual(context["Source Image URL"], self.origin.url("/a.png"))
        self.assertEqual(context["Source Image Origin"], f"http://{self.origin.host}")
        self.assertEqual((context["Request ID"], context["Options"]), ("request-1", {"width": "20"}))
        self.assertEqual((sentry.body["release"], sentry.body["environment"]), ("shop@5", "eu"))
        self.assertEqual((sentry.body["level"], sentry.body["request"]["method"]), ("error", "GET"))
        frames = sentry.body["exception"]["values"][-1]["stacktrace"]["frames"]
        self.assertTrue(frames)
        self.assertFalse([frame for frame in frames if "vars" in frame or "context_line" in frame])

    def _check_others(self) -> None:
        (bugsnag,), (honeybadger,), (airbrake,) = map(self.receiver.of, ("bugsnag", "honeybadger", "airbrake"))
        (event,) = bugsnag.body["events"]
        self.assertEqual((bugsnag.body["payloadVersion"], event["app"]["releaseStage"]), ("5", "eu"))
        self.assertEqual(event["metaData"]["Processing Context"]["Request ID"], "request-1")
        self.assertTrue(event["exceptions"][0]["stacktrace"][0]["lineNumber"])
        variables = honeybadger.body["request"]["cgi_data"]
        self.assertEqual((variables["HTTP_USER_AGENT"], variables["REQUEST_ID"]), ("curl/8", "request-1"))
        self.assertEqual(variables["SOURCE_IMAGE_ORIGIN"], f"http://{self.origin.host}")
        self.assertEqual(honeybadger.body["server"]["environment_name"], "eu")
        context = airbrake.body["context"]
        self.assertEqual((context["environment"], context["version"]), ("production", __version__))
        self.assertEqual((context["request-id"], context["options"]), ("request-1", {"width": "20"}))
        self.assertTrue(airbrake.body["errors"][0]["backtrace"][0]["function"])


class WhichErrorsTests(ReportCase):
    def kinds(self, server: Twistd, count: int) -> list[str]:
        """The kinds of the errors that *server* has reported when it has ended."""
        wait_for(lambda: len(self.receiver.reports) >= count, "the reports")
        server.stop()  # sends all that waits
        return sorted(error_of(posted)[0] for posted in self.receiver.reports)

    def test_broken_image_and_missing_original_are_reported_and_mistakes_of_clients_are_not(self) -> None:
        server = self.reporting("honeybadger")
        answers = [
            server.get(path).status
            for path in (
                self.path("/broken.png"),
                self.path("/none.png"),
                self.path("/a.png", "nonsense:1"),
                "/nothing",
                self.path("/a.png"),
            )
        ]
        self.assertEqual(answers, [422, 404, 400, 400, 200])
        self.assertEqual(self.kinds(server, 2), ["NotAnImage", "SourceMissing"])
        self.assertNotIn("hush", "".join(posted.raw for posted in self.receiver.reports))

    def test_errors_of_downloads_are_left_out_where_the_operator_wants_that(self) -> None:
        server = self.reporting("airbrake", REPORT_DOWNLOADING_ERRORS="false")
        self.assertEqual(server.get(self.path("/none.png")).status, 404)
        self.assertEqual(server.get(self.path("/broken.png")).status, 422)
        self.assertEqual(self.kinds(server, 1), ["NotAnImage"])

    def test_client_that_leaves_is_reported_where_the_operator_wants_that(self) -> None:
        self.origin.hold()
        server = self.reporting("airbrake", REPORT_IO_ERRORS="true")
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"GET {self.path('/a.png')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_for(lambda: self.origin.requests, "the fetch")
        self.assertEqual(self.kinds(server, 1), ["ClientGone"])

    def test_failure_behind_a_fallback_image_is_reported(self) -> None:
        picture = base64.b64encode(encode(gradient(4, 4), "PNG")).decode()
        server = self.reporting("bugsnag", FALLBACK_IMAGE_DATA=picture)
        self.assertEqual(server.get(self.path("/none.png")).headers["fallback-image"], "1")
        self.assertEqual(self.kinds(server, 1), ["SourceMissing"])
        (event,) = self.receiver.reports[0].body["events"]
        self.assertEqual(event["metaData"]["Processing Context"]["Status"], "404")


class InternalErrorTests(ReportCase):
    def test_internal_error_in_a_worker_is_reported_with_its_cause_and_its_place(self) -> None:
        beside = tempfile.TemporaryDirectory()
        self.addCleanup(beside.cleanup)
        plugins = Path(beside.name, "twisted", "plugins")
        plugins.mkdir(parents=True)
        (plugins / "faulty.py").write_text(FAULTY)
        server = self.server(PROCESSES="2", SECRET="hush-secret", **self.receiver.settings("sentry", "airbrake"))
        server.environment = {"PYTHONPATH": os.pathsep.join([beside.name, str(ROOT)])}
        server.start()
        answer = server.get("/unsafe/w:8/plain/faulty://x/y", {"Authorization": "Bearer hush-secret"})
        self.assertEqual((answer.status, answer.body), (500, b"internal error\n"))
        wait_for(lambda: len(self.receiver.reports) == 2, "the reports")
        for posted in self.receiver.reports:
            self.assertEqual(error_of(posted), ("ValueError", "bad: http://host/a and ***"), posted.raw)
            self.assertIn("no such key", posted.raw)
            self.assertIn("/faulty.py", posted.raw)
            self.assertNotIn("hush", posted.raw)


class StormTests(ReportCase):
    def test_storm_of_equal_errors_sends_one_report_and_counts_the_others(self) -> None:
        server = self.reporting("honeybadger", SOURCE_BREAKER_FAILURES="0")
        for number in range(40):
            self.assertEqual(server.get(self.path("/none.png", f"w:{number + 1}")).status, 404)
        wait_for(lambda: server.metric('error_reports_total{outcome="suppressed"}') == 39, "all others in the metrics")
        wait_for(lambda: self.receiver.reports, "the report")
        server.stop()
        self.assertEqual(len(self.receiver.reports), 1)

    def test_receiver_that_is_silent_delays_no_response_and_the_stop_by_three_seconds_at_most(self) -> None:
        server = self.reporting(DOWNLOAD_TIMEOUT="600")
        self.receiver.hold()
        for number in range(10):
            self.assertEqual(server.get(self.path("/broken.png", f"w:{number + 1}")).status, 422)
        self.assertEqual(server.stop(), 0)  # else the test waits in vain: a request may take minutes
        self.assertEqual(self.receiver.reports, [])

    def test_receiver_that_refuses_is_warned_of_once(self) -> None:
        self.receiver.status = 403
        server = self.reporting("airbrake")
        server.get(self.path("/none.png"))
        wait_for(lambda: "was not delivered to airbrake: it answered 403" in server.output(), "the warning")
        server.get(self.path("/broken.png"))
        server.stop()
        self.assertEqual(server.output().count("was not delivered"), 1)
