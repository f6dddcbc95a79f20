"""Files of etc/ name settings and metrics that exist, with values that imgforge takes."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings, load_settings
from tests.support.checkers import ETC
from tests.support.process import ROOT, Twistd

KNOWN = {f"IMGFORGE_{name.upper()}" for name in Settings.fields}
# What Kubernetes would make of its services, as comments say.
OTHERS = {"IMGFORGE_NODES_PORT", "IMGFORGE_BALANCER_PORT"}
FILES = [path for path in ETC.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
# The secrets that a node has besides.
KEYS = {"IMGFORGE_KEY": "6b6579", "IMGFORGE_SALT": "73616c74"}


def env_file(path: str) -> dict[str, str]:
    """The variables of a file of NAME=VALUE lines."""
    lines = (line for line in (ETC / path).read_text("utf-8").splitlines() if line and line[0] != "#")
    return dict(line.split("=", 1) for line in lines)


def unit(path: str, instance: str) -> dict[str, str]:
    """The variables of an instance of a unit."""
    text = (ETC / path).read_text("utf-8").replace("%i", instance).replace("%C", "/var/cache")
    words = (shlex.split(line) for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE))
    return dict(word.split("=", 1) for line in words for word in line)


class SettingsTests(SynchronousTestCase):
    def test_every_variable_is_a_setting(self) -> None:
        for path in [*FILES, ROOT / "docs" / "deploying.md"]:
            named = set(re.findall(r"\bIMGFORGE_(?!X\b|PLUGIN)[A-Z0-9_]*[A-Z0-9]\b", path.read_text("utf-8")))
            self.assertEqual(named - KNOWN - OTHERS, set(), path)

    def taken(self, variables: Mapping[str, str]) -> Settings:
        """The settings that imgforge makes of *variables*."""
        there = {name: value for name, value in variables.items() if name.startswith("IMGFORGE_")}
        return load_settings(None, {**there, **KEYS})

    def test_every_value_is_taken(self) -> None:
        base = env_file("kubernetes/base/settings.env")
        compose = yaml.safe_load((ETC / "compose/compose.yaml").read_text("utf-8"))
        values = yaml.safe_load((ETC / "helm/imgforge/values.yaml").read_text("utf-8"))
        for name, variables in {
            "base": base,
            "production": base | env_file("kubernetes/production/settings.env"),
            "compose": compose["services"]["imgforge-1"]["environment"],
            "helm": {"IMGFORGE_CACHE_DISK_PATH": "/var/cache/imgforge", **values["settings"]},
            "unit": unit("imgforge@.service", "3001"),
        }.items():
            settings = self.taken(variables)
            # Behind a balancer: it is trusted, and a node that stops says so for longer than two checks take.
            self.assertTrue(settings.trusted_proxies, name)
            self.assertGreater(settings.shutdown_delay, 3, name)

    def test_shares_of_a_volume_are_less_than_the_volume(self) -> None:
        for settings, size in (
            (env_file("kubernetes/base/settings.env"), 10),
            (env_file("kubernetes/production/settings.env"), 100),
        ):
            kept = sum(int(settings[f"IMGFORGE_{name}_MAX_BYTES"]) for name in ("CACHE_DISK", "SOURCE_CACHE"))
            self.assertLess(kept, 0.85 * size * 2**30)

    def test_time_limits_of_the_balancers_match_those_of_imgforge(self) -> None:
        settings = load_settings(None, {})
        for path in FILES:
            if path.name == "haproxy.cfg":
                text = path.read_text("utf-8")
                limit = {
                    name: float(seconds)
                    for name, seconds in re.findall(r"^ +timeout ([a-z-]+) (\d+)s$", text, re.MULTILINE)
                }
                self.assertGreater(limit["server"], settings.timeout, path)
                self.assertEqual(limit["http-request"], settings.read_request_timeout, path)
                self.assertEqual(limit["client"], settings.write_response_timeout, path)
                idle = float(re.findall(r"pool-purge-delay (\d+)s", text)[0])
                # Idle connections are purged by halves, each time after this delay.
                self.assertLess(2 * idle, settings.keep_alive_timeout, path)
                most = int(re.findall(r"check .* maxconn (\d+) ", text)[0])
                self.assertLess(most, settings.max_clients, path)
        nginx = (ETC / "nginx" / "imgforge.conf").read_text("utf-8")
        self.assertGreater(float(re.findall(r"proxy_read_timeout (\d+)s", nginx)[0]), settings.timeout)
        self.assertLess(float(re.findall(r"\n    keepalive_timeout (\d+)s", nginx)[0]), settings.keep_alive_timeout)

    def test_all_haproxies_balance_alike(self) -> None:
        words = re.compile(
            r"^ +(balance|hash-|http-check|option (?!forwardfor)|retr|http-request set-var|default-server check).*"
        )
        alike = {
            path: [line for line in path.read_text("utf-8").splitlines() if words.match(line)]
            for path in FILES
            if path.name == "haproxy.cfg"
        }
        self.assertEqual(len(alike), 4)
        expected = alike[ETC / "haproxy" / "haproxy.cfg"]
        self.assertGreater(len(expected), 12)
        for path, lines in alike.items():
            text = "\n".join(lines).replace("{{ .Values.balancer.loadFactor }}", "300")
            self.assertEqual(text.splitlines(), expected, path)


class MetricTests(SynchronousTestCase):
    def test_metrics_of_the_autoscaler_are_exported(self) -> None:
        rule = yaml.safe_load((ETC / "kubernetes" / "prometheus-adapter.yaml").read_text("utf-8"))["rules"]["custom"][0]
        code = f"{rule['seriesQuery']} {rule['metricsQuery']}"
        named = set(re.findall(r"\b([a-z_]+)\{", code))
        self.assertEqual(named, {"images_in_progress", "image_operation_concurrency_limit"})
        with tempfile.TemporaryDirectory() as scratch:
            server = Twistd({"ALLOW_UNSIGNED": "true"}, environment={"RUNTIME_DIRECTORY": scratch})
            self.addCleanup(server.clean)
            server.start()
            for name in named:
                self.assertIsNotNone(server.metric(name), name)
            self.assertGreater(server.metric("image_operation_concurrency_limit") or 0, 0)
            server.stop()
        metric = next(
            metric["pods"]["metric"]["name"]
            for part in yaml.safe_load_all((ETC / "kubernetes/base/autoscaling.yaml").read_text("utf-8"))
            for metric in part["spec"]["metrics"]
            if "pods" in metric
        )
        self.assertEqual(metric, rule["name"]["as"])
        self.assertIn(f"name: {metric}\n", Path(ETC, "helm/imgforge/templates/autoscaling.yaml").read_text("utf-8"))
