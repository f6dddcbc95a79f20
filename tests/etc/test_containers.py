"""The Containerfile and the compose file. No container engine is needed, and none runs them."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.support.checkers import ETC, ran
from tests.support.process import ROOT

FILE = ETC / "container" / "Containerfile"


class ContainerfileTests(SynchronousTestCase):
    def test_hadolint_finds_nothing(self) -> None:
        ended = ran("hadolint", "--failure-threshold", "style", FILE)
        self.assertEqual((ended.returncode, ended.stdout), (0, ""))
        ended = ran("hadolint", "-", text="FROM python\nRUN cd /tmp\n")
        self.assertNotEqual(ended.returncode, 0)

    def test_what_it_copies_is_there_and_not_ignored(self) -> None:
        copied = re.findall(r"^COPY (?!--from)(.*) \S+$", FILE.read_text("utf-8"), re.MULTILINE)
        names = " ".join(copied).split()
        ignored = (ETC / "container" / "Containerfile.dockerignore").read_text("utf-8").splitlines()
        self.assertIn("pyproject.toml", names)
        for name in names:
            self.assertTrue((ROOT / name).exists(), name)
            self.assertIn(f"!{name}", ignored)
        # All that a wheel is made of.
        with (ROOT / "pyproject.toml").open("rb") as file:
            project = tomllib.load(file)
        needed = [*project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"], project["project"]["readme"]]
        for path in (*needed, *project["project"]["license-files"]):
            self.assertIn(Path(path).parts[0], names)

    def test_its_extras_are_those_of_the_package(self) -> None:
        with (ROOT / "pyproject.toml").open("rb") as file:
            extras = set(tomllib.load(file)["project"]["optional-dependencies"])
        named = re.findall(r"^ARG EXTRAS=(.*)$", FILE.read_text("utf-8"), re.MULTILINE)
        # The last two are coming.
        self.assertEqual(set(named[0].split(",")), extras - {"tests", "mutation", "lint", "types"})

    def test_it_is_no_roots_and_says_whether_it_is_healthy(self) -> None:
        text = FILE.read_text("utf-8")
        self.assertRegex(text, r"(?m)^USER 10001:10001$")
        self.assertRegex(text, r'(?m)^HEALTHCHECK .* CMD \["imgforge", "health"\]$')
        self.assertEqual(text.count("\nFROM "), 2)
        # The user of the manifests.
        nodes = (ETC / "kubernetes" / "base" / "nodes.yaml").read_text("utf-8")
        self.assertIn("runAsUser: 10001", nodes)


class ComposeTests(SynchronousTestCase):
    def project(self) -> Any:
        """The project as Docker Compose's own library reads it."""
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch, "etc", "compose")
            shutil.copytree(ETC / "compose", place)
            text = (place / "compose.yaml").read_text("utf-8")
            # The library's program knows no variables.
            text = re.sub(r"\$\{STORE_SECRET:\?[^}]+\}", "secret", text).replace(
                "${ORIGINALS:-./originals}", "./originals"
            )
            self.assertNotIn("${", text)
            (place / "compose.yaml").write_text(text)
            (place / "imgforge.env").write_text("IMGFORGE_KEY=6b6579\nIMGFORGE_SALT=73616c74\n")
            ended = ran("compose-spec", "--no-interpolation", "--format", "json", "compose.yaml", cwd=place)
            self.assertEqual(ended.returncode, 0, ended.stderr)
            (place / "compose.yaml").write_text(text.replace("read_only:", "readonly:"))
            wrong = ran("compose-spec", "--no-interpolation", "compose.yaml", cwd=place)
        self.assertIn("readonly", wrong.stderr)
        return json.loads(ended.stdout)

    def test_it_is_a_project_of_two_nodes_and_what_they_need(self) -> None:
        services = self.project()["services"]
        nodes = {"imgforge-1", "imgforge-2"}
        self.assertEqual(set(services), nodes | {"haproxy", "redis", "store", "prometheus", "grafana"})
        haproxy = (ETC / "compose" / "haproxy.cfg").read_text("utf-8")
        scraped = yaml.safe_load((ETC / "compose" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
        targets = {target for job in scraped for static in job["static_configs"] for target in static["targets"]}
        for node in nodes:
            self.assertIn(f"server {node} {node}:3000", haproxy)
            self.assertIn(f"{node}:9090", targets)
            self.assertTrue(services[node]["read_only"])
            # HAProxy alone may name a client's address.
            address = services["haproxy"]["networks"]["fleet"]["ipv4_address"]
            self.assertEqual(services[node]["environment"]["IMGFORGE_TRUSTED_PROXIES"], address)
        self.assertLessEqual({target.partition(":")[0] for target in targets}, set(services))
        # Nothing but loopback is published, and the nodes are not.
        for name, service in services.items():
            for port in service.get("ports", []):
                self.assertEqual(port["host_ip"], "127.0.0.1", name)
        self.assertFalse(any("ports" in services[node] for node in nodes))

    def test_prometheus_has_the_alerts_and_grafana_the_dashboard(self) -> None:
        services = self.project()["services"]
        mounted = {
            name: {
                volume["target"]: Path(volume["source"]).parts[-2:]
                for volume in services[name]["volumes"]
                if volume["type"] == "bind"
            }
            for name in ("prometheus", "grafana")
        }
        (rules,) = yaml.safe_load((ETC / "compose" / "prometheus.yml").read_text("utf-8"))["rule_files"]
        self.assertEqual(mounted["prometheus"][f"/etc/prometheus/{rules}"], ("prometheus", rules))
        (provider,) = yaml.safe_load((ETC / "compose" / "grafana" / "dashboards.yaml").read_text("utf-8"))["providers"]
        place = provider["options"]["path"]
        self.assertEqual(mounted["grafana"][f"{place}/imgforge.json"], ("grafana", "imgforge.json"))
        for folder, file in mounted["prometheus"].values():
            self.assertTrue((ETC / folder / file).is_file(), file)
