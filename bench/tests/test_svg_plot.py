"""Curves as SVG (bench/svg_plot.py)."""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from bench.svg_plot import Panel, plot


class PlotTests(SynchronousTestCase):
    """Panels with curves."""

    def test_each_curve_is_a_line_within_its_panel(self) -> None:
        panels = [Panel("a < b", {"x": [0, 5, 10], "y": [0, 0, 0]}), Panel("none", {"z": [0, 0, 0]})]
        root = ElementTree.fromstring(plot([0, 1, 2], panels, [1]))  # noqa: S314  our own SVG
        name = "{http://www.w3.org/2000/svg}"
        lines = [line.get("points", "") for line in root.iter(f"{name}polyline")]
        self.assertEqual(lines[0], "70.0,144.0 450.0,84.0 830.0,24.0")
        self.assertEqual(len(lines), 3)
        self.assertIn("a < b", [label.text for label in root.iter(f"{name}text")])
