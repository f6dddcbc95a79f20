"""The dashboard for Grafana: up to date, of the shape that Grafana reads, without panels that overlap."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import sys
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from twisted.trial.unittest import SynchronousTestCase

from tests.support.checkers import ETC
from tests.support.process import ROOT

FILE = ETC / "grafana" / "imgforge.json"
ALERTS = {
    rule["alert"]
    for group in yaml.safe_load((ETC / "prometheus" / "imgforge.rules.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def written() -> str:
    """What dashboard.py would write."""
    specification = importlib.util.spec_from_file_location("dashboard", ETC / "grafana" / "dashboard.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    before = list(sys.path)
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path[:] = before
    text: str = module.text()
    return text


def lost(given: Any, kept: Any, place: str = "") -> list[str]:
    """The places of *given* that *kept*, which may have more, lacks or has otherwise."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [one for key, value in given.items() for one in lost(value, kept.get(key), f"{place}.{key}")]
    if isinstance(given, list) and isinstance(kept, list):
        pairs = enumerate(itertools.zip_longest(given, kept))
        return [one for number, pair in pairs for one in lost(*pair, f"{place}[{number}]")]
    return [] if given == kept else [place]


class DashboardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = json.loads(FILE.read_text("utf-8"))
        self.panels = [panel for panel in self.dashboard["panels"] if panel["type"] != "row"]

    def read_by_grafana(self, dashboard: dict[str, Any]) -> Any:
        """*dashboard* after it has been read and written by Grafana's own types."""
        register_default_plugins()
        return json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(dashboard)))))

    def test_it_is_what_its_tables_make(self) -> None:
        self.assertEqual(FILE.read_text("utf-8"), written(), "run python etc/grafana/dashboard.py")

    def test_grafana_knows_all_that_it_says(self) -> None:
        self.assertEqual(lost(self.dashboard, self.read_by_grafana(self.dashboard)), [])
        # The check does see mistakes, in each kind of panel.
        for kind in ("stat", "timeseries", "heatmap", "table"):
            panel = next(panel for panel in self.panels if panel["type"] == kind)
            panel["options"]["colour"] = "red"
        self.panels[0]["targets"][0]["expression"] = "up"
        self.panels[0]["fieldConfig"]["defaults"]["units"] = "s"
        self.assertEqual(len(lost(self.dashboard, self.read_by_grafana(self.dashboard))), 6)

    def test_panels_have_a_description_a_query_and_the_chosen_source(self) -> None:
        self.assertGreater(len(self.panels), 35)
        for panel in self.panels:
            title = panel["title"]
            self.assertRegex(panel["description"], r"^[A-Z0-9].*\.$", title)
            self.assertTrue(panel["targets"], title)
            for target in panel["targets"]:
                self.assertEqual(target["datasource"]["uid"], "${datasource}", title)
                # Only the chosen servers, by the chosen names.
                named = re.findall(r"(\$\{prefix\}|\b)([a-z_]+)\{([^}]*)", target["expr"])
                self.assertTrue(named, title)
                for prefix, name, labels in named:
                    self.assertEqual(prefix, "" if name == "up" else "${prefix}", title)
                    self.assertTrue(labels.startswith('job=~"$job",instance=~"$instance"'), title)
        numbers = [panel["id"] for panel in self.dashboard["panels"]]
        self.assertEqual(len(set(numbers)), len(numbers))

    def test_panels_do_not_overlap(self) -> None:
        places: dict[tuple[int, int], str] = {}
        for panel in self.dashboard["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), places, panel["title"])
                    places[x, y] = panel["title"]
        # And leave no gap.
        self.assertEqual(len(places), 24 * (1 + max(y for _, y in places)))

    def test_each_alert_is_beside_a_panel_that_links_to_its_entry(self) -> None:
        links = [link["url"] for panel in self.panels for link in panel.get("links", ())]
        self.assertEqual(set(links), {f"${{docs}}/runbook.md#{alert.lower()}" for alert in ALERTS})

    def test_settings_that_it_names_exist(self) -> None:
        known = (ROOT / "docs" / "operations.md").read_text("utf-8")
        for panel in self.panels:
            for name in re.findall(r"IMGFORGE_[A-Z_]+", panel["description"]):
                self.assertIn(f"`{name}`", known, panel["title"])
