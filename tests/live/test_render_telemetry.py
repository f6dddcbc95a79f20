"""What is sent of images that are made beforehand: by an idle server, by workers, and by Celery's."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.brokers import RedisBroker
from tests.support.otlp_receiver import HttpReceiver, SentSpan
from tests.support.process import ROOT, Twistd, free_port, wait_for
from tests.support.queue_case import QueueCase
from tests.support.report_receivers import ReportReceiver

CONSUMER = 5  # the kind of a span
PARENT, PARENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{PARENT}-{PARENT_SPAN}-01"


class RenderTelemetryCase(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.receiver = HttpReceiver()
        self.addCleanup(self.receiver.close)
        self.variables = self.receiver.environment | {"OTEL_RESOURCE_ATTRIBUTES": "team=images"}
        self.settings |= {
            "OPEN_TELEMETRY_ENABLE": "true",
            "OPEN_TELEMETRY_PROPAGATE_EXTERNAL": "true",
            "QUEUE_MAX_RETRIES": "1",
        }

    def secret_path(self, number: int) -> str:
        return f"{self.path(number)}%3Ftoken=hush"

    def jobs(self, count: int) -> list[SentSpan]:
        """The spans of *count* jobs, in the order in which they began."""

        def found() -> list[SentSpan]:
            return [span for span in self.receiver.spans if span.name == "prerender"]

        wait_for(lambda: len(found()) >= count, f"{count} spans of jobs")
        return sorted(found(), key=lambda span: span.began)

    def post_traced(self, server: Twistd, *paths: str) -> str:
        """Queue *paths* by a request that is part of a trace; returns its id."""
        reply = self.post(server, "/render", {"paths": paths}, traceparent=TRACEPARENT)
        self.assertEqual(reply.status, 202, reply.body)
        return str(json.loads(reply.body)["id"])

    def assert_made(self, root: SentSpan, request: str) -> None:
        """That *root* is the span of a job of *request* that made an image, with its steps, for a traced request."""
        tree = self.receiver.tree(root)
        self.assertEqual((root.kind, root.parent, root.failed, root.events), (CONSUMER, "", False, []))
        self.assertEqual(root.links, [(PARENT, PARENT_SPAN)])
        self.assertNotEqual(root.trace, PARENT)
        for name in ("queue", "downloading_source_image", "processing_image", "cache_lookup"):
            self.assertEqual(tree[name].parent, root.identity, name)
        self.assertEqual(tree["origin_request"].parent, tree["downloading_source_image"].identity)
        self.assertEqual(tree["encode"].parent, tree["processing_image"].identity)
        attributes = root.attributes
        self.assertEqual(
            attributes["imgproxy.source_image_url"].partition("://")[2].partition("/")[0], self.origin.host
        )
        self.assertEqual(attributes["imgproxy.options.width"], 20)
        self.assertEqual((attributes["imgforge.status"], attributes["imgforge.tries"]), (200, 1))
        self.assertEqual((attributes["imgforge.render_id"], attributes["imgforge.format"]), (request, "jpeg"))
        self.assertIn("fwd=miss", attributes["imgforge.cache_status"])
        self.assertEqual((root.resource["service.name"], root.resource["team"]), ("imgforge", "images"))
        told = [headers.get("traceparent", "") for _, headers in self.origin.requests]
        self.assertIn(root.trace, {header.split("-")[1] for header in told if header})

    def assert_places_named_once(self) -> None:
        """That the worker's log says where traces and reports go, once for all of its processes, as a server's does."""
        log = (self.scratch / "worker.log").read_text()
        self.assertEqual(log.count(f"traces go to {self.variables['OTEL_EXPORTER_OTLP_ENDPOINT']} ("), 1, log)
        self.assertIn(", reports to Sentry", log)
        self.assertNotIn("hush", log)

    def assert_no_secret_sent(self) -> None:
        self.assertFalse(b"hush" in b"".join(self.receiver.sent))


class EmbeddedTests(RenderTelemetryCase):
    def setUp(self) -> None:
        super().setUp()
        self.settings["QUEUE_PATH"] = str(self.scratch / "queue")

    def test_each_job_of_an_idle_server_is_a_trace_with_a_link_to_the_request_that_queued_it(self) -> None:
        server = self.server(OPEN_TELEMETRY_ENABLE_LOGS="true", SLOW_REQUEST_SECONDS="0.000001")
        request = self.post_traced(server, self.secret_path(1), self.secret_path(50), self.secret_path(1))
        made, failed, hit = self.jobs(3)
        self.assert_made(made, request)
        self.assertEqual((failed.failed, failed.attributes["imgforge.status"]), (True, 404))
        ((name, event),) = failed.events
        self.assertEqual((name, event["exception.type"]), ("exception", "download_error (SourceMissing)"))
        self.assertIn("original_fetcher", event["exception.stacktrace"])
        self.assertTrue(self.receiver.tree(failed)["origin_request"].failed)
        self.assertIn("hit", hit.attributes["imgforge.cache_status"])
        self.assertEqual(set(self.receiver.tree(hit)), {"prerender", "cache_lookup"})
        self.assertEqual(len({span.trace for span in (made, failed, hit)}), 3)
        server.assert_logged("slow pre-rendering: it took ")

        def traced_lines() -> set[str]:
            lines = [one for one in self.receiver.logs if one.body.string_value.startswith("slow pre-rendering")]
            return {one.trace_id.hex() for one in lines}

        wait_for(lambda: traced_lines() == {made.trace, failed.trace, hit.trace}, "the lines of the three")
        # They are no requests of clients.
        self.assertEqual(self.receiver.roots(), [])
        self.assert_no_secret_sent()

    def test_a_job_that_a_visitor_s_image_stops_is_no_failure(self) -> None:
        server = self.server()
        self.origin.hold()
        self.post_traced(server, self.secret_path(1))
        wait_for(lambda: self.asked, "the job")
        self.assertEqual(server.get("/unsafe/w:20/plain/local:///a.jpg").status, 404)
        (stopped,) = self.jobs(1)
        self.assertEqual((stopped.failed, stopped.events, stopped.attributes["imgforge.status"]), (False, [], 499))
        self.origin.release()

    def test_workers_send_what_is_left_and_report_errors_before_they_end(self) -> None:
        reports = ReportReceiver()
        self.addCleanup(reports.close)
        self.settings |= reports.settings("sentry", "honeybadger")
        self.variables["OTEL_BSP_SCHEDULE_DELAY"] = "60000"
        self.render("add", self.secret_path(1), self.secret_path(2), self.secret_path(50))
        report = self.render("run", "--drain", "--concurrency", "2", status=1)
        self.assertEqual((report["done"], report["failed"]), (2, 1))
        self.assertEqual(len(self.jobs(3)), 3)
        self.assertEqual([span.links for span in self.jobs(3)], [[]] * 3)  # nobody's trace has queued them
        wait_for(lambda: len(reports.reports) == 2, "the reports")
        for posted in reports.reports:
            self.assertIn("SourceMissing", posted.raw)
            self.assertIn("try 1 of a job of ", posted.raw)
            self.assertIn("/***/w:20/plain/", posted.raw)
            self.assertNotIn("hush", posted.raw)
            self.assertNotIn("unsafe", posted.raw)
        self.assert_no_secret_sent()
        reports.reports.clear()
        self.settings["REPORT_DOWNLOADING_ERRORS"] = "false"
        self.render("retry")
        self.render("run", "--drain", status=1)
        self.assertEqual(len(self.jobs(4)), 4)
        self.assertEqual(reports.reports, [])

    def test_workers_say_where_traces_and_reports_go(self) -> None:
        self.settings["SENTRY_DSN"] = "http://hush@127.0.0.1:9/1"
        self.render("add", self.path(1))
        self.assertEqual(self.worker("--drain", "--concurrency", "2").wait(60), 0)
        self.assert_places_named_once()

    def test_off_no_library_is_needed_and_nothing_is_sent(self) -> None:
        del self.settings["OPEN_TELEMETRY_ENABLE"]
        # Libraries that can do without it ask for it all the same.
        (self.scratch / "opentelemetry.py").write_text("raise ImportError")
        self.variables["PYTHONPATH"] = f"{self.scratch}:{ROOT}"
        self.render("add", self.path(2))
        self.assertEqual(self.render("run", "--drain")["done"], 1)
        self.assertEqual(self.receiver.sent, [])


class FleetTests(RenderTelemetryCase):
    def celery(self) -> subprocess.Popen[bytes]:
        worker = ["worker", "-c", "1", "-l", "INFO", "--without-mingle"]
        return self.background([sys.executable, "-m", "celery", "-A", "imgforge.queue", *worker])

    def test_a_worker_that_cannot_send_as_it_is_told_ends_before_it_takes_a_job(self) -> None:
        self.settings["QUEUE_URL"] = f"redis://127.0.0.1:{free_port()}"
        self.variables["OTEL_TRACES_SAMPLER"] = "foo"
        self.assertEqual(self.celery().wait(60), 1)
        log = (self.scratch / "worker.log").read_text()
        self.assertIn("imgforge: OTEL_TRACES_SAMPLER='foo' must be parentbased_always_on, ", log)
        self.assertNotIn("Traceback", log)

    def test_workers_say_at_their_start_where_traces_and_reports_go(self) -> None:
        self.settings |= {
            "QUEUE_URL": f"redis://127.0.0.1:{free_port()}",
            "SENTRY_DSN": "http://hush@127.0.0.1:9/1",
            "LOG_FORMAT": "json",
        }
        self.celery()  # it waits for its broker
        wait_for(lambda: "Cannot connect" in (self.scratch / "worker.log").read_text(), "the start of the worker")
        self.assert_places_named_once()
        line = next(line for line in (self.scratch / "worker.log").read_text().splitlines() if "go to" in line)
        self.assertEqual(json.loads(line)["level"], "info")

    def test_what_retry_puts_back_keeps_its_link(self) -> None:
        broker = RedisBroker()
        self.addCleanup(broker.close)
        broker.start()
        self.settings["QUEUE_URL"] = broker.url
        request = self.post_traced(self.server(), self.secret_path(50))
        self.render("run", "--drain", status=1)
        self.origin.files["/50.jpg"] = self.origin.files["/1.jpg"]
        self.assertEqual(self.render("retry"), {"retried": 1})
        self.render("run", "--drain")
        failed, made = self.jobs(2)
        self.assertEqual(failed.links, [(PARENT, PARENT_SPAN)])
        self.assert_made(made, request)

    def test_each_try_of_celery_s_jobs_is_a_trace_and_what_is_left_is_sent_when_the_worker_ends(self) -> None:
        broker = RedisBroker()
        self.addCleanup(broker.close)
        broker.start()
        self.settings |= {"QUEUE_URL": broker.url, "SOURCE_BREAKER_FAILURES": "0"}
        self.variables["OTEL_BSP_SCHEDULE_DELAY"] = "60000"
        self.origin.status = 503
        server = self.server()
        request = self.post_traced(server, self.secret_path(1))
        celery = self.celery()
        wait_for(lambda: " succeeded in " in (self.scratch / "worker.log").read_text(), "the end of the first try")
        self.origin.status = 0
        wait_for(lambda: len(self.asked) == 2, "the second try")
        second_request = self.post_traced(server, self.secret_path(2))
        wait_for(lambda: len(self.asked) == 3, "the second image")
        self.assertEqual(self.receiver.spans, [])
        celery.terminate()
        self.assertEqual(celery.wait(60), 0)
        failed, again, made = self.jobs(3)
        self.assertEqual((failed.failed, failed.attributes["imgforge.status"]), (True, 502))
        self.assertEqual((again.failed, again.attributes["imgforge.tries"]), (False, 2))
        for span in (failed, again):
            self.assertEqual((span.attributes["imgforge.render_id"], span.links), (request, [(PARENT, PARENT_SPAN)]))
        self.assert_made(made, second_request)
        self.assert_no_secret_sent()
