"""Prometheus scrapes a real server: each query of the dashboard and of the rules finds something, and alerts fire."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.support.checkers import ETC
from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, Reply, Twistd, free_port, wait_for
from tests.support.prometheus_server import PrometheusServer, selectors

GROUPS = yaml.safe_load((ETC / "prometheus" / "imgforge.rules.yml").read_text("utf-8"))["groups"]
DASHBOARD = json.loads((ETC / "grafana" / "imgforge.json").read_text("utf-8"))
# Two ways to scrape a server with IMGFORGE_PROMETHEUS_NAMESPACE=shop: as prometheus.yml does, and as they are.
STRIPPED, PREFIXED = {"prefix": "", "job": "imgforge"}, {"prefix": "shop_", "job": "prefixed"}
# The alerts of which the traffic is a case.
HAPPENED = {
    *("ImgforgeErrorsFast", "ImgforgeErrorsSlow", "ImgforgeRefusals", "ImgforgeOriginFailing", "ImgforgeCircuitOpen"),
    *("ImgforgeFallbackImages", "ImgforgeTruncatedImages", "ImgforgeWorkersCrash", "ImgforgePrerenderFailed"),
}
# Those that a busy machine may cause, as no alert waits here.
BUSY = {"ImgforgeDown", "ImgforgeLatencyP95", "ImgforgeLatencyP99", "ImgforgeSaturated", "ImgforgeWorkersMissing"}
# Selectors that find nothing here, and why.
EMPTY = {
    'cache_faults_total{job="imgforge",cache_type!="disk",fault!="too_large"}': "there is no cache that nodes share",
}


class PrometheusTests(SynchronousTestCase):
    """One server of two workers, which has seen hits, misses, failures and refusals."""

    server: Twistd
    origin: Origin
    prometheus: PrometheusServer

    @classmethod
    def setUpClass(cls) -> None:
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        whole, large = (encode(gradient(*size), "JPEG") for size in ((64, 40), (640, 400)))
        cls.origin = Origin({f"/{n}.jpg": whole for n in range(400)} | {"/cut.jpg": large[: len(large) * 2 // 3]})
        cls.addClassCleanup(cls.origin.close)
        cls.server = Twistd(
            {
                "PROCESSES": "2",
                "CACHE_TYPE": "hybrid",
                "CACHE_DISK_PATH": str(Path(scratch.name, "cache")),
                "SOURCE_CACHE_TYPE": "disk",
                "QUEUE_PATH": str(Path(scratch.name, "queue")),
                "RENDER_SECRET": "for rendering",
                "PROMETHEUS_NAMESPACE": "shop",
                "ALLOW_UNSIGNED": "true",
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                "TRUNCATED_IMAGES": "serve",
                "SOURCE_RETRIES": "0",
                "SOURCE_BREAKER_FAILURES": "2",
                "CACHE_NOT_FOUND_TTL": "0",
                "RATE_LIMIT_PER_MINUTE": "140",
            }
        )
        cls.addClassCleanup(cls.server.clean)
        cls.server.start()
        targets: dict[str, Any] = {"static_configs": [{"targets": [f"127.0.0.1:{cls.server.port}"]}]}
        strip = {"source_labels": ["__name__"], "regex": "shop_(.+)", "target_label": "__name__"}
        # As they are, but for the time that an alert waits.
        groups = [
            {**group, "rules": [{k: v for k, v in rule.items() if k != "for"} for rule in group["rules"]]}
            for group in GROUPS
        ]
        cls.prometheus = PrometheusServer(
            [
                {"job_name": "imgforge", "metric_relabel_configs": [strip], **targets},
                {"job_name": "prefixed", **targets},
            ],
            groups,
        )
        cls.addClassCleanup(cls.prometheus.close)
        wait_for(lambda: len(cls.prometheus.query("up == 1")) == 2, "the first scrape")
        cls.give_traffic()

    @classmethod
    def ask(cls, url: str, options: str = "w:20") -> Reply:
        return cls.server.get(f"/unsafe/{options}/plain/{quote(url, safe='')}@png")

    @classmethod
    def give_traffic(cls) -> None:
        image, nobody = cls.origin.url, f"http://127.0.0.1:{free_port()}"
        statuses = [
            cls.ask(image(f"/{n}.jpg"), options).status for n in range(8) for options in ("w:20", "w:20", "w:21")
        ]
        assert set(statuses) == {200}, statuses
        assert cls.server.get(f"/info/unsafe/plain/{quote(image('/0.jpg'), safe='')}").status == 200
        assert {cls.ask(image("/cut.jpg"), f"w:{width}").status for width in range(20, 26)} == {200}
        missing = base64.urlsafe_b64encode(image("/1.jpg").encode()).decode().rstrip("=")
        for number in range(24):
            assert cls.ask(image(f"/missing{number}.jpg")).status == 404
            assert cls.ask(f"{nobody}/{number}.jpg").status == 502
            assert cls.ask(image(f"/gone{number}.jpg"), f"w:20/fiu:{missing}").status == 200
        body = json.dumps(
            {"paths": [f"/unsafe/w:9/plain/{quote(image(path), safe='')}" for path in ("/2.jpg", "/none.jpg")]}
        )
        posted = cls.server.get("/render", {"Authorization": "Bearer for rendering"}, "POST", body.encode())
        assert posted.status == 202, posted
        # Each process has half of the limit of a minute.
        refused = 0
        for number in range(10, 400):
            refused += cls.ask(image(f"/{number}.jpg")).status == 429
            if refused >= 10:
                break
        wait_for(lambda: cls.server.metric('shop_prerendered_images_total{outcome="failed"}'), "the job that fails")
        # Those that follow say at once how long the queue is.
        for _ in range(2):
            before = cls.server.children()
            for worker in before:
                os.kill(worker, signal.SIGKILL)
            wait_for(lambda before=before: len(set(cls.server.children()) - set(before)) == 2, "other workers")  # type: ignore[misc]
        wait_for(cls.server.answers, "the server's answers")

    def found(self, expression: str) -> bool:
        return bool(self.prometheus.query(expression))

    def test_each_query_of_the_dashboard_finds_something(self) -> None:
        count = 0
        for panel in DASHBOARD["panels"]:
            for target in panel.get("targets", ()):
                for place in (STRIPPED, PREFIXED):
                    text = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
                    text = text.replace("${prefix}", place["prefix"]).replace("$job", place["job"])
                    self.assertNotIn("$", text)
                    wait_for(lambda text=text: self.found(text), f"{panel['title']}: {text}")  # type: ignore[misc]
                    count += 1
                    legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                    for labels, _ in self.prometheus.query(text):
                        self.assertLessEqual(legend, set(labels), panel["title"])
        self.assertGreater(count, 100)

    def test_the_variables_of_the_dashboard_find_the_servers(self) -> None:
        asked = {one["name"]: one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"}
        self.assertEqual(set(asked), {"job", "instance"})
        for place in (STRIPPED, PREFIXED):
            for name, value in (("job", place["job"]), ("instance", f"127.0.0.1:{self.server.port}")):
                matched = re.fullmatch(r"label_values\((.+), (\w+)\)", asked[name])
                assert matched is not None
                self.assertEqual(matched[2], name)
                selector = matched[1].replace("${prefix}", place["prefix"]).replace("$job", place["job"])
                self.assertIn(value, self.prometheus.ask(f"label/{name}/values", **{"match[]": selector}))

    def test_each_rule_finds_what_it_is_about(self) -> None:
        wait_for(lambda: self.found('prerender_jobs{state="failed"} > 0'), "the failed job")
        for rule in (rule for group in GROUPS for rule in group["rules"]):
            if "record" in rule:
                wait_for(lambda name=rule["record"]: self.found(name), rule["record"])  # type: ignore[misc]
            elif rule["alert"] != "ImgforgeAbsent":
                named = selectors(rule["expr"]) or set(re.findall(r"\b\w+:\w+:\w+\b", rule["expr"]))
                self.assertTrue(named, rule["alert"])
                for selector in named:
                    self.assertEqual(self.found(selector), selector not in EMPTY, f"{rule['alert']}: {selector}")

    def test_commands_of_the_runbook_find_what_has_happened(self) -> None:
        runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
        functions = f"""
            log() {{ cat {self.server.log}; }}
            metrics() {{ curl -s http://127.0.0.1:{self.server.port}/metrics | sed 's/^shop_//'; }}
        """
        count = 0
        for name in HAPPENED:
            entry = runbook.partition(f"\n### {name}\n")[2].partition("\n##")[0]
            for command in re.findall(r"^    ((?:log|metrics) .*)$", entry, re.MULTILINE):
                if "jq" in command or "internal error" in command:  # of an access log, of a bug
                    continue
                ended = subprocess.run(("bash", "-c", functions + command), capture_output=True, text=True, check=False)
                self.assertTrue(ended.stdout.strip(), f"{name}: {command}")
                count += 1
        self.assertGreater(count, 8)

    def test_alerts_fire_for_what_has_happened_and_no_others(self) -> None:
        def firing() -> set[str]:
            return {labels["alertname"] for labels, _ in self.prometheus.query('ALERTS{alertstate="firing"}')}

        with contextlib.suppress(AssertionError):  # the next line names those that are missing
            wait_for(lambda: firing() - BUSY == HAPPENED, "the alerts")
        self.assertEqual(firing() - BUSY, HAPPENED)
        (alert,) = [
            one for one in self.prometheus.ask("alerts")["alerts"] if one["labels"]["alertname"] == "ImgforgeRefusals"
        ]
        self.assertRegex(alert["annotations"]["summary"], r"^[\d.]+% of the requests are refused \(rate\)$")
