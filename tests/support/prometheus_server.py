"""A Prometheus that `.ci/stores` installs, with scrapes and rules of a test; and what a query's text names."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.support.loopback_server import DEADLINE
from tests.support.process import wait_for
from tests.support.store_programs import StoreProgram

__all__ = ["PrometheusServer", "Sample", "selectors"]

# The labels and the value of a sample.
Sample = tuple[dict[str, str], float]
_SELECTOR = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:"[^"]*"|[^"}])*)\}')


def selectors(expression: str) -> set[str]:
    """The selectors in *expression* that have labels, such as `up{job="imgforge"}`; without their ranges."""
    return {found[0] for found in _SELECTOR.finditer(expression)}


class PrometheusServer:
    """Prometheus with *scrapes* (of its scrape_configs) once a second, and the *groups* of rules twice."""

    def __init__(self, scrapes: list[dict[str, Any]], groups: list[dict[str, Any]]) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="imgforge-prometheus-")
        rules, configuration = Path(self._scratch.name, "rules.yml"), Path(self._scratch.name, "prometheus.yml")
        rules.write_text(yaml.safe_dump({"groups": groups}))
        interval = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "500ms"}
        configuration.write_text(
            yaml.safe_dump({"global": interval, "rule_files": [str(rules)], "scrape_configs": scrapes})
        )
        self._program = StoreProgram(
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self._scratch.name}/data",
            "--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        )
        wait_for(self._is_ready, "Prometheus")

    def _is_ready(self) -> bool:
        try:
            return bool(self.ask("query", query="vector(1)"))
        except OSError:
            return False

    def ask(self, endpoint: str, **parameters: str) -> Any:
        """The data of an answer of the API (HTTPError with the reason where the query is wrong)."""
        url = f"http://127.0.0.1:{self._program.port}/api/v1/{endpoint}?{urlencode(parameters)}"
        with urlopen(url, timeout=DEADLINE) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Sample]:
        """The samples of *expression* now that are numbers."""
        data = self.ask("query", query=expression)
        samples = (
            [({}, data["result"][1])]
            if data["resultType"] == "scalar"
            else [(one["metric"], one["value"][1]) for one in data["result"]]
        )
        return [(labels, float(value)) for labels, value in samples if value != "NaN"]

    def close(self) -> None:
        self._program.close()
        self._scratch.cleanup()
