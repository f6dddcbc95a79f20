"""What a started server sends over OTLP of the requests that it answers."""

from __future__ import annotations

import base64
import http.client
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.certificates import certificate
from tests.support.otlp_receiver import GrpcReceiver, HttpReceiver, SentSpan, values
from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, free_port, wait_for

PNG = encode(gradient(40, 30), "PNG")
PARENT = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{PARENT}-b7ad6b7169203331-01"


class TracedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.origin = Origin({"/a.png": PNG, "/b.png": PNG})
        self.addCleanup(self.origin.close)
        self.receiver = HttpReceiver()
        self.addCleanup(self.receiver.close)

    def traced(self, environment: dict[str, str] | None = None, **settings: str) -> Twistd:
        made = Twistd(
            {"PROCESSES": "1", "ALLOW_UNSIGNED": "true", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"}
            | {"CACHE_TYPE": "memory", "OPEN_TELEMETRY_ENABLE": "true"}
            | settings,
            environment=self.receiver.environment | (environment or {}),
        )
        self.addCleanup(made.clean)
        return made.start()

    def root(self, identity: str) -> SentSpan:
        """The span of the request with that id."""

        def mine() -> list[SentSpan]:
            return [span for span in self.receiver.roots() if span.attributes.get("imgforge.request_id") == identity]

        wait_for(mine, f"the span of {identity}")
        (root,) = mine()
        return root

    def ask(self, server: Twistd, path: str, identity: str, **headers: str) -> SentSpan:
        server.get(path, {"X-Request-ID": identity, **headers})
        return self.root(identity)


class TraceTests(TracedCase):
    def test_a_request_is_a_tree_of_spans_under_imgproxys_names(self) -> None:
        server = self.traced(PROCESSES="2", OPEN_TELEMETRY_PROPAGATE_EXTERNAL="true")
        source = self.origin.url("/a.png")
        before = time.time_ns()
        root = self.ask(server, f"/unsafe/rs:fill:20:10/g:no:1:2/plain/{source}%3Ftoken=hush@webp", "made")
        tree = self.receiver.tree(root)
        self.assertEqual((root.kind, root.parent, root.failed), (2, "", False))
        self.assertEqual(
            {name: tree[name].parent for name in ("queue", "downloading_source_image", "processing_image")},
            dict.fromkeys(("queue", "downloading_source_image", "processing_image"), root.identity),
        )
        self.assertEqual(tree["cache_lookup"].attributes["imgforge.hit"], False)
        self.assertEqual(tree["encode"].parent, tree["processing_image"].identity)
        self.assertEqual(tree["origin_request"].parent, tree["downloading_source_image"].identity)
        self.assertEqual(
            (tree["origin_request"].kind, tree["origin_request"].attributes["imgforge.bytes"]), (3, len(PNG))
        )
        for span in tree.values():
            self.assertLess(before, span.began)
            self.assertLessEqual(span.began, span.ended)
            self.assertLess(span.ended, time.time_ns())
        options = {
            name.removeprefix("imgproxy.options."): value
            for name, value in root.attributes.items()
            if name.startswith("imgproxy.options.")
        }
        gravity = {"gravity.type": "no", "gravity.x_offset": 1.0, "gravity.y_offset": 2.0}
        self.assertEqual(options, {"resizing_type": "fill", "width": 20, "height": 10, "format": "webp"} | gravity)
        self.assertEqual(tree["processing_image"].attributes["imgproxy.options.width"], 20)
        for span in (root, tree["downloading_source_image"]):
            self.assertEqual(span.attributes["imgproxy.source_image_url"], source)
            self.assertEqual(span.attributes["imgproxy.source_image_origin"], f"http://{self.origin.host}")
        self.assertEqual((root.attributes["http.method"], root.attributes["http.status_code"]), ("GET", 200))
        self.assertEqual(root.attributes["http.url"], f"/unsafe/rs:fill:20:10/g:no:1:2/plain/{source}")
        self.assertEqual(root.resource["service.name"], "imgforge")
        # Ids of X-Ray begin with the time.
        self.assertLess(abs(int(root.trace[:8], 16) - time.time()), 120)
        # The origin learns of the trace.
        ((_, told),) = self.origin.requests
        self.assertEqual(told["traceparent"], f"00-{root.trace}-{root.identity}-01")

        # /metrics names the trace beside the histograms, whichever worker is asked.
        def named() -> bool:
            answer = server.get("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0"})
            return f'# {{trace_id="{root.trace}"}}' in answer.body.decode()

        wait_for(named, "the trace among the exemplars")

        # A client's context is taken, and the spans of both workers have places of their own.
        child = self.ask(server, f"/unsafe/w:9/plain/{source}", "child", traceparent=TRACEPARENT)
        self.assertEqual((child.trace, child.parent), (PARENT, "b7ad6b7169203331"))
        self.assertTrue(self.origin.requests[-1][1]["traceparent"].startswith(f"00-{PARENT}-"))

        # Failures are events, of the request and of the step.
        failed = self.ask(server, f"/unsafe/w:9/plain/{self.origin.url('/none.png')}%3Ftoken=hush", "failed")
        self.assertTrue(failed.failed)
        (event,) = failed.events
        self.assertEqual((event[0], event[1]["exception.type"]), ("exception", "download_error (SourceMissing)"))
        self.assertEqual(event[1]["exception.message"], "the origin answered 404")
        self.assertIn("original_fetcher", event[1]["exception.stacktrace"])
        self.assertTrue(self.receiver.tree(failed)["origin_request"].failed)

        # Health checks are no requests of clients.
        server.get("/status", {"X-Request-ID": "health"})
        self.ask(server, "/unsafe/nonsense:1/plain/http://x/a.png", "after")
        identities = {root.attributes["imgforge.request_id"] for root in self.receiver.roots()}
        self.assertNotIn("health", identities)

    def test_no_secret_leaves(self) -> None:
        server = self.traced(
            OPEN_TELEMETRY_ENABLE_LOGS="true", NEW_RELIC_PROPAGATE_EXTERNAL="true", SECRET="bearer-hush"
        )
        secret = f"http://user:hush@{self.origin.host}/a.png?token=hush"
        encoded = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
        mark = base64.urlsafe_b64encode(f"{self.origin.url('/b.png')}?token=hush".encode()).decode().rstrip("=")
        token = {"Authorization": "Bearer bearer-hush", "Cookie": "session=hush"}
        for number, path in enumerate(
            (
                f"/unsafe/w:8/{encoded}.png",
                f"/unsafe/w:8/wm:0.5/wmu:{mark}/plain/{self.origin.url('/a.png')}",
                f"/unsafe/w:8/plain/{self.origin.url('/none.png')}%3Ftoken=hush",
                f"/wrong/w:nonsense/{encoded}",
                f"/info/unsafe/{encoded}",
            )
        ):
            server.get(path, {"X-Request-ID": f"request-{number}", **token})
            self.root(f"request-{number}")
        sent = b"".join(self.receiver.sent)
        self.assertIn(b"/w:8/wm:0.5/wmu:***/plain/", sent)
        for hidden in (b"hush", encoded[:40].encode(), mark[:40].encode()):
            self.assertFalse(hidden in sent, hidden)  # assertNotIn would print all of it

    def test_equal_requests_that_share_work_have_its_steps_each(self) -> None:
        server = self.traced()
        self.origin.hold()
        path = f"/unsafe/w:11/plain/{self.origin.url('/a.png')}"
        connections = []
        for identity in ("first", "second"):
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            self.addCleanup(connection.close)
            connection.request("GET", path, headers={"X-Request-ID": identity})
            connections.append(connection)
        misses = 'cache_misses_total{cache_type="memory"}'
        wait_for(lambda: server.metric(misses) == 2, "both requests")
        self.origin.release()
        for connection in connections:
            self.assertEqual(connection.getresponse().status, 200)
        first, second = (self.receiver.tree(self.root(identity)) for identity in ("first", "second"))
        self.assertEqual(len(self.origin.requests), 1)
        self.assertNotEqual(first["/request"].trace, second["/request"].trace)
        for name in ("downloading_source_image", "processing_image"):
            self.assertEqual((first[name].began, first[name].ended), (second[name].began, second[name].ended))

    def test_the_scheme_is_that_of_the_listener_also_for_hits(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            pem = Path(scratch, "own.pem")
            pem.write_bytes(certificate("localhost"))
            tls = free_port()
            server = self.traced(BIND=f"127.0.0.1:{free_port()},ssl:{tls}:interface=127.0.0.1:privateKey={pem}")
            path = f"/unsafe/w:9/plain/{self.origin.url('/a.png')}"
            context = ssl.create_default_context(cafile=str(pem))

            def ask_encrypted(identity: str) -> SentSpan:
                connection = http.client.HTTPSConnection("localhost", tls, context=context, timeout=20)
                connection.request("GET", path, headers={"X-Request-ID": identity, "X-Forwarded-Proto": "http"})
                self.assertEqual(connection.getresponse().status, 200)
                connection.close()
                return self.root(identity)

            made = self.ask(server, path, "plain"), ask_encrypted("encrypted")
            hits = self.ask(server, path, "plain-hit"), ask_encrypted("encrypted-hit")
            for spans in (made, hits):
                self.assertEqual([span.attributes["http.scheme"] for span in spans], ["http", "https"])
            for hit in hits:  # of the fast lane, which looks nothing up
                self.assertEqual(list(self.receiver.tree(hit)), ["/request"])

    def test_a_sampler_that_takes_none_sends_nothing_and_the_origin_learns_so(self) -> None:
        server = self.traced(
            {"OTEL_TRACES_SAMPLER": "always_off"},
            OPEN_TELEMETRY_PROPAGATE_EXTERNAL="true",
            OPEN_TELEMETRY_TRACE_ID_GENERATOR="random",
        )
        self.assertEqual(server.get(f"/unsafe/w:9/plain/{self.origin.url('/a.png')}").status, 200)
        self.assertEqual(int(self.origin.requests[0][1]["traceparent"][-2:], 16) & 1, 0)
        server.stop()
        self.assertEqual(self.receiver.spans, [])

    def test_what_is_left_is_sent_at_the_stop(self) -> None:
        server = self.traced({"OTEL_BSP_SCHEDULE_DELAY": "60000"}, PROCESSES="2")
        server.get(f"/unsafe/w:9/plain/{self.origin.url('/a.png')}")
        self.assertEqual(self.receiver.spans, [])
        server.stop()
        self.assertEqual(len(self.receiver.roots()), 1)

    def test_a_receiver_that_is_dead_or_silent_delays_neither_answers_nor_the_stop(self) -> None:
        self.receiver.hold()
        server = self.traced()
        path = f"/unsafe/w:9/plain/{self.origin.url('/a.png')}"
        for _ in range(3):
            self.assertEqual(server.get(path).status, 200)
        server.stop()
        server.assert_logged("the receiver of telemetry did not take what was left within 3 s")
        self.assertNotIn("killed", server.output())


class HitTests(TracedCase):
    def test_hits_of_the_fast_lane_have_spans_too_and_continue_the_traces_of_clients(self) -> None:
        server = self.traced(PROMETHEUS_IMGPROXY_NAMES="true")
        path = f"/unsafe/w:9/plain/{self.origin.url('/a.png')}"
        for identity in ("made", "memory"):
            self.ask(server, f"{path}?token=hush", identity)
        hit = self.ask(server, f"{path}?token=hush", "hit")
        self.assertEqual(hit.attributes["http.status_code"], 200)
        self.assertEqual(hit.attributes["imgproxy.source_image_url"], self.origin.url("/a.png"))
        self.assertIn("HIT memory", hit.attributes["imgforge.cache_status"])
        self.assertEqual((hit.attributes["http.url"], hit.kind, hit.parent), (path, 2, ""))
        self.assertEqual(list(self.receiver.tree(hit)), ["/request"])  # and no look-up: it was the fast lane's
        # Both histograms of requests name its trace.
        exposed = server.get("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0"}).body.decode()
        lines = [line for line in exposed.splitlines() if f'# {{trace_id="{hit.trace}"}}' in line]
        self.assertEqual(
            sorted(line.partition("_bucket")[0] for line in lines),
            ["http_requests_duration_seconds", "request_duration_seconds"],
        )
        continued = self.ask(server, path, "continued", traceparent=TRACEPARENT)
        self.assertEqual(continued.trace, PARENT)
        self.assertIn("cache_lookup", self.receiver.tree(continued))
        # Without an id of its own a hit is prepared once, for all that are equal.
        before = len(self.receiver.roots())
        for _ in range(20):
            server.get(path)
        wait_for(lambda: len(self.receiver.roots()) == before + 20, "a span of each")
        self.assertEqual(len({root.trace for root in self.receiver.roots()[before:]}), 20)


class SignalTests(TracedCase):
    def test_metrics_have_imgproxys_names_and_logs_the_traces_of_their_requests(self) -> None:
        server = self.traced(
            {"OTEL_METRIC_EXPORT_INTERVAL": "200"},
            OPEN_TELEMETRY_ENABLE_METRICS="true",
            OPEN_TELEMETRY_ENABLE_LOGS="true",
            PROMETHEUS_NAMESPACE="shop",
            SLOW_REQUEST_SECONDS="0.000001",
            WORKERS="3",
        )
        path = f"/unsafe/w:9/plain/{self.origin.url('/a.png')}"
        for _ in range(5):  # the last of them by the fast lane
            self.assertEqual(server.get(path).status, 200)
        failed = self.ask(server, f"/unsafe/w:9/plain/{self.origin.url('/none.png')}", "failed")

        def latest() -> dict[tuple[str, str], Any]:
            """The last data point of each metric and of its only label."""
            return {(name, next(iter(labels.values()), "")): point for name, labels, point in self.receiver.metrics}

        wait_for(lambda: getattr(latest().get(("requests_total", "")), "as_int", 0) == 6, "the count of all requests")
        found = latest()
        self.assertEqual((found["status_codes_total", "404"].as_int, found["errors_total", "download"].as_int), (1, 1))
        self.assertGreaterEqual(found["status_codes_total", "200"].as_int, 5)
        self.assertEqual(found["workers", ""].as_double, 3)
        self.assertEqual(found["workers_utilization", ""].as_double, 0)
        for name in ("vips_max_memory_bytes", "process_resident_memory_bytes"):
            self.assertGreater(found[name, ""].as_double, 0, name)
        for name in ("requests_in_progress", "images_in_progress", "vips_memory_bytes", "vips_allocs"):
            self.assertIn((name, ""), found)
        self.assertGreaterEqual(found["request_duration_seconds", ""].count, 3)
        for span in ("queue", "downloading_source_image", "processing_image"):
            self.assertGreater(found["request_span_duration_seconds", span].count, 0)
            self.assertLess(found["request_span_duration_seconds", span].sum, 60)

        def mine() -> list[Any]:
            return [one for one in self.receiver.logs if values(one.attributes).get("request_id") == "failed"]

        wait_for(lambda: len(mine()) == 2, "the lines of the failed request")
        slow, line = sorted(mine(), key=lambda one: one.severity_text, reverse=True)
        self.assertIn("slow request: GET /unsafe/w:9/plain/http", slow.body.string_value)
        self.assertIn("404 GET", line.body.string_value)
        for one in (slow, line):
            self.assertEqual((one.trace_id.hex(), one.span_id.hex()), (failed.trace, failed.identity))
        self.assertEqual(line.severity_text, "INFO")

    def test_lines_of_equal_ids_under_way_have_the_trace_of_their_own_request(self) -> None:
        server = self.traced(OPEN_TELEMETRY_ENABLE_LOGS="true")
        self.origin.hold()
        connections = []
        for name in ("first", "second"):
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            self.addCleanup(connection.close)
            path = f"/unsafe/plain/{self.origin.url(f'/{name}.png')}"
            connection.request("GET", path, headers={"X-Request-ID": "same"})
            connections.append(connection)
        wait_for(lambda: len(self.origin.requests) == 2, "both requests")
        self.origin.release()
        for connection in connections:
            self.assertEqual(connection.getresponse().status, 404)

        def lines(name: str) -> list[Any]:
            return [line for line in self.receiver.logs if f"/{name}.png" in line.body.string_value]

        wait_for(lambda: len(self.receiver.roots()) == 2, "both spans")
        wait_for(lambda: lines("first") and lines("second"), "the lines of both")
        traces = {root.attributes["http.url"].rpartition("/")[2]: root.trace for root in self.receiver.roots()}
        for name in ("first", "second"):
            self.assertEqual([line.trace_id.hex() for line in lines(name)], [traces[f"{name}.png"]])


class DestinationTests(TracedCase):
    def test_traces_go_over_grpc_by_default_with_certificates_of_the_settings(self) -> None:
        pem = certificate("localhost")
        receiver = GrpcReceiver(grpc.ssl_server_credentials([(pem, pem)]))
        self.addCleanup(receiver.close)
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{receiver.port}"}
        server = self.traced(
            endpoint | {"OTEL_EXPORTER_OTLP_PROTOCOL": "", "OTEL_SERVICE_NAME": "pictures"},
            OPEN_TELEMETRY_SERVER_CERT=pem.decode().replace("\n", "\\n"),
        )
        server.get(f"/unsafe/w:9/plain/{self.origin.url('/a.png')}")
        wait_for(lambda: any(span.name == "/request" for span in receiver.spans), "the span")
        self.assertEqual(receiver.spans[0].resource["service.name"], "pictures")

    def test_datadog_and_new_relic_take_otlp(self) -> None:
        server = self.traced(
            {"DD_SERVICE": "shop", "DD_TAGS": "team:images"},
            OPEN_TELEMETRY_ENABLE="false",
            DATADOG_ENABLE="true",
            NEW_RELIC_KEY="licence",
        )
        server.get(f"/unsafe/w:9/plain/{self.origin.url('/a.png')}")
        wait_for(lambda: len(self.receiver.roots()) == 2, "the span of each")
        self.assertEqual(sorted(one.get("api-key", "") for one in self.receiver.headers), ["", "licence"])
        first, second = self.receiver.roots()
        self.assertEqual((first.identity, first.resource), (second.identity, second.resource))
        self.assertEqual((first.resource["service.name"], first.resource["team"]), ("shop", "images"))
        self.assertNotIn("licence", server.output())


class MistakeTests(TracedCase):
    def test_what_cannot_work_ends_the_start(self) -> None:
        wrong = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_TRACES_SAMPLER": "foo",
            "OTEL_PROPAGATORS": "tracecontext,bar",
        }
        server = Twistd({"OPEN_TELEMETRY_ENABLE": "true"}, environment=wrong)
        self.addCleanup(server.clean)
        server.launch()
        wait_for(lambda: server.ended, "the end")
        server.assert_logged("OTEL_EXPORTER_OTLP_PROTOCOL='http/json' must be grpc or http/protobuf")
        server.assert_logged("OTEL_TRACES_SAMPLER='foo' must be parentbased_always_on, ")
        server.assert_logged("OTEL_PROPAGATORS has 'bar', which is none of ")
        self.assertNotIn("Traceback", server.output())

    def test_the_start_says_where_traces_go_and_a_receiver_that_is_down_is_one_line(self) -> None:
        address = f"http://127.0.0.1:{free_port()}"
        server = self.traced({"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"})
        server.assert_logged(f"traces go to {address} (http/protobuf)")
        for width in range(1, 5):
            server.get(f"/unsafe/w:{width}/plain/{self.origin.url('/a.png')}")
        line = f"traces cannot be sent to {address} (OTEL_EXPORTER_OTLP_ENDPOINT): Connection refused; tried again"
        wait_for(lambda: line in server.output(), "the line")
        time.sleep(3)  # more tries
        self.assertEqual(server.output().count("cannot be sent"), 1)
        self.assertNotIn("Transient error", server.output())
