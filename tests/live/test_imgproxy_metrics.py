"""imgproxy's metrics by its names, labels and buckets, over all processes, and what is counted in them."""

from __future__ import annotations

import http.client
import tempfile
from typing import ClassVar

from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, wait_for

# What imgproxy 4.0.12 exports of its own, as scraped: the type and the labels. The documents name buffer_size_bytes,
# buffer_default_size_bytes and buffer_max_size_bytes besides, which it has no longer.
IMGPROXY = {
    "requests": ("counter", set()),  # requests_total
    "status_codes": ("counter", {"status"}),
    "errors": ("counter", {"type"}),
    "request_duration_seconds": ("histogram", {"le"}),
    "request_span_duration_seconds": ("histogram", {"span", "le"}),
    "workers": ("gauge", set()),
    "requests_in_progress": ("gauge", set()),
    "images_in_progress": ("gauge", set()),
    "workers_utilization": ("gauge", set()),
    "vips_memory_bytes": ("gauge", set()),
    "vips_max_memory_bytes": ("gauge", set()),
    "vips_allocs": ("gauge", set()),
}
BUCKETS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"]
SPANS = {"queue", "downloading_source_image", "processing_image", "streaming_image"}
PICTURE = encode(gradient(40, 30), "PNG")


class ImgproxyCase(SynchronousTestCase):
    settings: ClassVar[dict[str, str]] = {}

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.origin = Origin({"/a.png": PICTURE, "/broken.png": PICTURE[:60], "/b.png": PICTURE, "/text": b"no image"})
        self.addCleanup(self.origin.close)
        self.running = Twistd(
            {
                "PROMETHEUS_IMGPROXY_NAMES": "true",
                "CACHE_TYPE": "memory",
                "ALLOW_UNSIGNED": "true",
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                "ALLOWED_SOURCES": "http://127.0.0.1",
                "WORKERS": "6",
                **self.settings,
            }
        )
        self.addCleanup(self.running.clean)
        self.running.start()

    def url(self, name: str, options: str = "w:20") -> str:
        return f"/unsafe/{options}/plain/{self.origin.url(f'/{name}')}"

    def samples(self, prefix: str = "") -> dict[str, float]:
        """The values of imgproxy's metrics, by name and the value of the label that is not `le`, sums left out."""
        text = self.running.get("/metrics").body.decode()
        families = text_string_to_metric_families(text)
        return {
            ":".join((sample.name.removeprefix(prefix), *sample.labels.values())): sample.value
            for family in families
            if family.name.removeprefix(prefix) in IMGPROXY
            for sample in family.samples
            if not sample.name.endswith(("_bucket", "_sum"))
        }


class NameTests(ImgproxyCase):
    settings: ClassVar[dict[str, str]] = {"PROCESSES": "2", "PROMETHEUS_NAMESPACE": "shop"}

    def test_names_types_labels_and_buckets_are_imgproxys(self) -> None:
        self.running.get("/unsafe/w:20/plain/nothing")
        text = self.running.get("/metrics").body.decode()
        families = {family.name.removeprefix("shop_"): family for family in text_string_to_metric_families(text)}
        self.assertTrue(all(line.startswith("shop_") for line in text.splitlines() if not line.startswith("#")))
        for name, (kind, labels) in IMGPROXY.items():
            family = families[name]
            self.assertEqual(family.type, kind, name)
            self.assertEqual({label for sample in family.samples for label in sample.labels}, labels, name)
            bounds = [sample.labels["le"] for sample in family.samples if sample.name.endswith("_bucket")]
            self.assertEqual(bounds, BUCKETS * (len(bounds) // len(BUCKETS)), name)
        spans = {sample.labels["span"] for sample in families["request_span_duration_seconds"].samples}
        self.assertEqual(spans, SPANS)

    def test_openmetrics_has_the_same_series(self) -> None:
        """As Prometheus' own parser reads them, which is strict."""
        wait_for(lambda: self.samples("shop_")["workers"] == 6, "the workers of both processes")
        plain = self.running.get("/metrics")
        openmetrics = self.running.get("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
        self.assertTrue(openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0"))
        series = [
            {(sample.name, *sorted(sample.labels)) for family in families for sample in family.samples}
            for families in (
                text_string_to_metric_families(plain.body.decode()),
                openmetrics_parser.text_string_to_metric_families(openmetrics.body.decode()),
            )
        ]
        self.assertGreater(len(series[0]), 50)
        self.assertEqual(series[0] ^ series[1], set())

    def test_gauges_are_those_of_the_whole_server(self) -> None:
        wait_for(lambda: self.samples("shop_")["workers"] == 6, "the workers of both processes")
        self.assertEqual(self.samples("shop_")["workers_utilization"], 0)


class CountTests(ImgproxyCase):
    settings: ClassVar[dict[str, str]] = {"PROCESSES": "1"}

    def test_requests_and_steps_are_counted(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=20)
        self.addCleanup(connection.close)
        for _ in range(5):  # of which twisted.web answers the first ones, and the fast lane the others
            connection.request("GET", self.url("a.png"))
            self.assertEqual(connection.getresponse().read()[:4], b"\x89PNG")
        self.running.get(self.url("b.png", "raw:1"))
        self.running.get("/status")
        counted = self.samples()
        self.assertEqual(counted["requests_total"], 6)
        self.assertEqual(counted["request_duration_seconds_count"], 6)
        for span in SPANS:
            self.assertEqual(counted[f"request_span_duration_seconds_count:{span}"], 1, span)
        self.assertEqual(counted["workers"], 6)
        self.assertGreater(counted["vips_max_memory_bytes"], 0)
        errors = {name: value for name, value in counted.items() if name.startswith("errors_total:") and value}
        self.assertEqual(errors, {})

    def test_errors_are_counted_by_imgproxys_types(self) -> None:
        for path in (
            self.url("missing.png"),
            self.url("text"),
            self.url("broken.png"),
            self.url("a.png", "w:wide"),
            "/unsafe/w:20/plain/http://elsewhere.example/a.png",
            self.url("missing.png", "raw:1"),
        ):
            self.assertGreaterEqual(self.running.get(path).status, 400, path)
        errors = {name: value for name, value in self.samples().items() if name.startswith("errors_total:") and value}
        self.assertEqual(
            errors,
            {
                "errors_total:download": 2,
                "errors_total:processing": 1,
                "errors_total:path_parsing": 1,
                "errors_total:security": 1,
                "errors_total:streaming": 1,
            },
        )

    def test_requests_under_way_are_those_for_images(self) -> None:
        self.assertEqual(self.samples()["requests_in_progress"], 0)  # the scrape itself is none
        self.origin.hold()
        first = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=20)
        self.addCleanup(first.close)
        first.request("GET", self.url("a.png"))
        wait_for(lambda: self.samples()["requests_in_progress"] == 1, "the request")
        self.assertAlmostEqual(self.samples()["workers_utilization"], 100 / 6)
        self.origin.release()
        first.getresponse().read()
        wait_for(lambda: self.samples()["requests_in_progress"] == 0, "its end")
