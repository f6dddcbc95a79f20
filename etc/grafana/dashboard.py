#!/usr/bin/env python3
"""Write imgforge.json, the dashboard for Grafana, of the panels in request_panels.py and server_panels.py.

python etc/grafana/dashboard.py     (a test fails while imgforge.json is out of date)
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from panel import Panel  # noqa: E402
from request_panels import CACHES, LATENCY, OVERVIEW  # noqa: E402
from server_panels import ERRORS, ORIGINS, PRERENDERING, SATURATION  # noqa: E402

ROWS: dict[str, tuple[Panel, ...]] = {
    "Overview": OVERVIEW,
    "Latency by stage": LATENCY,
    "Caches": CACHES,
    "Origins": ORIGINS,
    "Saturation": SATURATION,
    "Errors and processes": ERRORS,
    "Pre-rendering": PRERENDERING,
}
# The height of a panel of a kind, in the grid's units; a stat is 4 of the 24 columns wide.
HEIGHTS = {"stat": 4, "timeseries": 8, "heatmap": 8, "table": 8}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_METRIC = re.compile(r'@([a-z_]+)(?:\{((?:"[^"]*"|[^"}])*)\})?')


def expression(text: str) -> str:
    """The expression in PromQL, with Grafana's variables, of one as panels have it."""

    def selector(found: re.Match[str]) -> str:
        labels = ['job=~"$job"', 'instance=~"$instance"', *filter(None, [found[2]])]
        return f"${{prefix}}{found[1]}{{{','.join(labels)}}}"

    return _METRIC.sub(selector, text).replace("[rate]", "[$__rate_interval]")


def targets(panel: Panel) -> list[dict[str, Any]]:
    """The queries of *panel*. A table shows the last values only."""
    formats = {"heatmap": "heatmap", "table": "table"}
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expression(text),
            "legendFormat": legend,
            "format": formats.get(panel.kind, "time_series"),
            "instant": panel.kind == "table",
            "range": panel.kind != "table",
        }
        for number, (text, legend) in enumerate(panel.queries)
    ]


def fields(panel: Panel) -> dict[str, Any]:
    """How the values of *panel* are shown: unit, axis, thresholds."""
    steps = panel.steps or ((0, "green"),)
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        # The first step has no value: it begins at the least one.
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": colour, "value": value or None} for value, colour in steps],
        },
    }
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
        }
    return {"defaults": defaults, "overrides": []}


def options(kind: str) -> dict[str, Any]:
    """The options of a kind of panel."""
    if kind == "stat":
        return {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"], "values": False}}
    if kind == "heatmap":
        return {
            "calculate": False,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 32},
            "yAxis": {"unit": "s"},
        }
    if kind == "table":
        return {"showHeader": True}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def transformations(kind: str) -> list[dict[str, Any]]:
    """What a table leaves out of its rows."""
    hidden = {"Time": True, "Value": True}
    return [{"id": "organize", "options": {"excludeByName": hidden}}] if kind == "table" else []


def shown(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    """*panel* as Grafana reads it."""
    made: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": targets(panel),
        "fieldConfig": fields(panel),
        "options": options(panel.kind),
    }
    if panel.alerts:
        made["links"] = [
            {
                "title": f"What to do: {alert}",
                "type": "link",
                "url": f"${{docs}}/runbook.md#{alert.lower()}",
                "targetBlank": True,
            }
            for alert in panel.alerts
        ]
    if changed := transformations(panel.kind):
        made["transformations"] = changed
    return made


def panels() -> list[dict[str, Any]]:
    """All rows and panels, each at its place in the grid of 24 columns."""
    made: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        made.append(
            {"id": len(made) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        )
        top, left, height = top + 1, 0, 0
        for panel in row:
            width = 4 if panel.kind == "stat" else panel.width
            if left + width > 24:
                top, left, height = top + height, 0, 0
            height = max(height, HEIGHTS[panel.kind])
            made.append(shown(panel, len(made) + 1, {"h": HEIGHTS[panel.kind], "w": width, "x": left, "y": top}))
            left += width
        top += height
    return made


def asked(name: str, label: str, text: str, **more: Any) -> dict[str, Any]:
    """A variable whose values are those of a label of imgforge_build_info, which every server has."""
    return {
        "name": name,
        "label": label,
        "description": text,
        "type": "query",
        "datasource": SOURCE,
        "refresh": 2,  # when the time range changes
        "sort": 1,
        **more,
    }


def typed(name: str, label: str, text: str, value: str) -> dict[str, Any]:
    """A variable that the operator types, *value* at first."""
    current = {"selected": True, "text": value, "value": value}
    return {"name": name, "label": label, "description": text, "type": "textbox", "query": value, "current": current}


def variables() -> list[dict[str, Any]]:
    """The variables at the top of the dashboard."""
    build = "${prefix}imgforge_build_info"
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1},
        typed(
            "prefix", "Prefix", "IMGFORGE_PROMETHEUS_NAMESPACE and an underscore, such as shop_; empty without it.", ""
        ),
        asked("job", "Job", "Fleets, by the job of the scrape.", query=f"label_values({build}, job)"),
        asked(
            "instance",
            "Server",
            "Servers of the fleet.",
            query=f'label_values({build}{{job=~"$job"}}, instance)',
            multi=True,
            includeAll=True,
            allValue=".*",
            current={"selected": True, "text": ["All"], "value": ["$__all"]},
        ),
        typed("docs", "Docs", "The address of imgforge's docs/, for the links to the runbook.", "docs"),
    ]


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    return {
        "uid": "imgforge",
        "title": "imgforge",
        "description": "Image servers: requests, latency, caches, origins, saturation, errors; see docs/monitoring.md.",
        "tags": ["imgforge"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "timezone": "browser",
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "red",
                    "expr": 'ALERTS{alertname=~"Imgforge.*",alertstate="firing"}',
                }
            ]
        },
        "templating": {"list": variables()},
        "links": [{"title": "Runbook", "type": "link", "url": "${docs}/runbook.md", "targetBlank": True}],
        "panels": panels(),
    }


def laid_out(value: Any, indent: str = "") -> str:
    """*value* as JSON: what fits into a line is one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= 110 or not isinstance(value, (dict, list)):
        return line
    inner = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + laid_out(one, inner) for one in value) + f"\n{indent}]"
    members = (f"{inner}{json.dumps(name)}: {laid_out(one, inner)}" for name, one in value.items())
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def text() -> str:
    """The contents of imgforge.json."""
    return laid_out(dashboard()) + "\n"


if __name__ == "__main__":
    (HERE / "imgforge.json").write_text(text(), "utf-8")
