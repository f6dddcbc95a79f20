"""Prometheus scrapes a real server: each query of the dashboard and of the rules finds something, and alerts fire."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
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
NOT_CACHED = 60  # requests with only-if-cached, which are no failures
# Selectors that find nothing here, and why.
EMPTY = {
    'cache_faults_total{job="imgforge",cache_type!="disk",fault!="too_large"}': "there is no cache that nodes share",
}


def refusing_port() -> socket.socket:
    """A port of loopback that refuses connections, and that no other program can get meanwhile."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


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
    def status(cls, url: str, options: str = "w:20") -> int:
        """The status, 429 left out: a busy machine may leave nearly all requests to one process, which soon refuses."""
        while (reply := cls.ask(url, options)).status == 429:
            time.sleep(0.1)
        return reply.status

    @classmethod
    def give_traffic(cls) -> None:
        image, refusing = cls.origin.url, refusing_port()
        cls.addClassCleanup(refusing.close)
        nobody = f"http://127.0.0.1:{refusing.getsockname()[1]}"
        statuses = [cls.status(image(f"/{n}.jpg"), options) for n in range(8) for options in ("w:20", "w:20", "w:21")]
        assert set(statuses) == {200}, statuses
        assert cls.server.get(f"/info/unsafe/plain/{quote(image('/0.jpg'), safe='')}").status == 200
        assert {cls.status(image("/cut.jpg"), f"w:{width}") for width in range(20, 26)} == {200}
        missing = base64.urlsafe_b64encode(image("/1.jpg").encode()).decode().rstrip("=")
        for number in range(24):
            assert cls.status(image(f"/missing{number}.jpg")) == 404
            assert cls.status(f"{nobody}/{number}.jpg") == 502
            assert cls.status(image(f"/gone{number}.jpg"), f"w:20/fiu:{missing}") == 200
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
        for number in range(NOT_CACHED):
            path = f"/unsafe/w:20/plain/{quote(image(f'/missing{number}.jpg'), safe='')}"
            assert cls.server.get(path, {"Cache-Control": "only-if-cached"}).status == 504
        wait_for(lambda: cls.server.metric('shop_prerendered_images_total{outcome="failed"}'), "the job that fails")
        # What a worker has counted is written in its next turn.
        not_cached = 'shop_status_codes_total{status="504"}'
        wait_for(
            lambda: cls.server.metric(not_cached) == NOT_CACHED, "the last of these in the metrics of both workers"
        )
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

    def test_requests_for_what_is_cached_only_are_no_failures(self) -> None:
        self.assertEqual(self.server.metric('shop_refusals_total{reason="not-cached"}'), NOT_CACHED)
        self.assertEqual(self.server.metric('shop_status_codes_total{status="504"}'), NOT_CACHED)
        failed = "rate(status_codes_total{status='502'}[1h])"
        wait_for(lambda: self.found(f"sum({failed}) > 0"), "the failures")
        for labels, failures in self.prometheus.query("job:imgforge_errors:ratio_rate1h"):
            self.assertLess(failures, 0.2, labels)

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


class RunbookCommandTests(SynchronousTestCase):
    """A server with a secret, whose settings are in the two files of its unit, and a shell that knows neither."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.etc = Path(scratch.name)
        cache, queue = self.etc / "cache", self.etc / "queue"
        port = free_port()
        (self.etc / "imgforge.toml").write_text(
            f"bind = '127.0.0.1:{port}'\nprocesses = 1\ncache_type = 'disk'\ncache_disk_path = '{cache}'\n"
            f"queue_path = '{queue}'\nallow_unsigned = true\nallow_loopback_source_addresses = true\n"
        )
        (self.etc / "imgforge.env").write_text("IMGFORGE_SECRET=s3cret\nIMGFORGE_RENDER_SECRET=other\n")
        self.server = Twistd(
            {"BIND": f"127.0.0.1:{port}", "SECRET": "s3cret", "RENDER_SECRET": "other"},
            ("--config", str(self.etc / "imgforge.toml")),
        )
        self.server.port = port
        self.addCleanup(self.server.clean)
        self.server.start()

    def ran(self, command: str) -> subprocess.CompletedProcess[str]:
        runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
        begin = "\n".join(re.findall(r"^    (.*)$", runbook.partition("\n## What clients see")[0], re.MULTILINE))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        text = f"{begin}\nlog() {{ cat {self.server.log}; }}\n{command}"
        text = text.replace("/etc/imgforge", str(self.etc)).replace(":3000", f":{self.server.port}")
        return subprocess.run(("bash", "-c", text), env=environment, capture_output=True, text=True, check=False)

    def test_commands_ask_the_service_with_its_secret_and_settings(self) -> None:
        authorized = {"Authorization": "Bearer s3cret"}
        refusing = refusing_port()
        self.addCleanup(refusing.close)
        nobody = f"http://127.0.0.1:{refusing.getsockname()[1]}"
        for source in (f"{nobody}/a.jpg", quote(f"{nobody}/b.jpg", safe="")):
            self.assertEqual(self.server.get(f"/unsafe/w:9/plain/{source}", authorized).status, 502)
        asked = {**authorized, "Cache-Control": "only-if-cached"}
        self.assertEqual(self.server.get(f"/unsafe/w:9/plain/{nobody}/c.jpg", asked).status, 504)
        self.server.assert_logged("#not-cached")
        runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
        printed: dict[str, str] = {}
        for name in (
            *("Down", "ErrorsFast", "LatencyP95", "CacheHitRatioDropped", "DiskCacheFaults", "OriginFailing"),
            *("ReloadFailed", "PrerenderBacklog", "PrerenderFailed"),
        ):
            printed |= self.printed(runbook, f"Imgforge{name}")
        self.assertGreater(len(printed), 15)
        by_error = [text for command, text in printed.items() if "errors.md" in command]
        self.assertEqual(len(by_error), 2)
        for text in by_error:
            self.assertRegex(text, r"(?m)^ +2 see docs/errors.md#[a-z-]+$")
        self.assertEqual(["not-cached" in text for text in by_error], [True, False])
        (origins,) = (text for command, text in printed.items() if "(https?|s3" in command)
        self.assertEqual(origins.split(), ["2", nobody])  # once in the path, once after "source"

    def printed(self, runbook: str, name: str) -> dict[str, str]:
        """What each command of an entry prints that can be run here."""
        entry = runbook.partition(f"\n### {name}\n")[2].partition("\n##")[0]
        printed = {}
        for command in re.findall(r"^    ((?:log|metrics|imgforge|D=).*)$", entry, re.MULTILINE):
            ended = self.ran(command)
            complaints = [line for line in ended.stderr.splitlines() if not line.startswith("warning: IMGFORGE_ALLOW_")]
            self.assertEqual(complaints, [], command)
            if not re.search(r"^log (\S+ )?\| (grep (-E )?'[a-z]|jq|tail)|^log -", command):  # of what did not happen
                self.assertEqual(ended.returncode, 0, command)
                self.assertTrue(ended.stdout or "config check" in command, command)
            printed[command] = ended.stdout
        return printed

    def test_a_missing_secret_is_told(self) -> None:
        ended = self.ran("unset IMGFORGE_SECRET; metrics | grep '^status_codes_total'")
        self.assertIn("403", ended.stderr)
