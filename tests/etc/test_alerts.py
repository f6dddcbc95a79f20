"""The rules for Prometheus: they hold what their unit tests say, and the runbook has an entry for each alert."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click
import yaml
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli import main
from imgforge.config import Settings
from imgforge.observability import Access, AccessLog
from tests.support.checkers import ETC, ran
from tests.support.process import ROOT
from tests.support.prometheus_server import selectors

FILES = ETC / "prometheus"
RULES = (FILES / "imgforge.rules.yml").read_text("utf-8")
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"] if "alert" in rule
}


def entries() -> dict[str, str]:
    """The entries of the runbook by their headings."""
    _, *found = re.split(r"^### (\w+)\n", RUNBOOK, flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def logged() -> str:
    """All text in the code of imgforge, of which log lines are made."""
    constants = (
        node.value
        for path in (ROOT / "imgforge").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return "\n".join(constants)


class PromtoolTests(SynchronousTestCase):
    def test_rules_and_configuration_are_valid(self) -> None:
        for command in (("check", "rules", "--lint=all", "--lint-fatal"), ("check", "config")):
            file = "imgforge.rules.yml" if "rules" in command else "prometheus.yml"
            ended = ran("promtool", *command, FILES / file)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_alerts_fire_when_they_should_and_only_then(self) -> None:
        ended = ran("promtool", "test", "rules", FILES / "imgforge.rules.test.yml")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        tried = (FILES / "imgforge.rules.test.yml").read_text("utf-8")
        for alert in ALERTS:
            self.assertTrue(f'alertname="{alert}"' in tried or f"alertname: {alert}\n" in tried, alert)

    def test_the_unit_tests_see_a_mistake(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            tests = yaml.safe_load((FILES / "imgforge.rules.test.yml").read_text("utf-8"))
            tests["tests"] = [one for one in tests["tests"] if one["name"].startswith("Memory and descriptors")]
            Path(scratch, "imgforge.rules.test.yml").write_text(yaml.safe_dump(tests))
            wrong = RULES.replace("instance:imgforge_memory:ratio > 0.9", "instance:imgforge_memory:ratio > 0.99")
            self.assertNotEqual(wrong, RULES)
            Path(scratch, "imgforge.rules.yml").write_text(wrong)
            ended = ran("promtool", "test", "rules", Path(scratch, "imgforge.rules.test.yml"))
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("ImgforgeMemoryNearLimit", ended.stderr + ended.stdout)


class NameTests(SynchronousTestCase):
    def documented(self) -> dict[str, set[str]]:
        """The labels of each metric in docs/operations.md, all of which a started server exports."""
        text = (ROOT / "docs" / "operations.md").read_text("utf-8")
        found = re.findall(
            r"`([a-z_]+)(?:\{([a-z_,]+)\})?`", text[text.index("\n## Metrics") : text.index("\n### Dashboards")]
        )
        return {name: set(labels.split(",")) for name, labels in found}

    def test_metrics_and_labels_of_rules_and_dashboard_exist(self) -> None:
        known = self.documented()
        dashboard = (ETC / "grafana" / "imgforge.json").read_text("utf-8").replace('\\"', '"').replace("${prefix}", " ")
        count = 0
        for text in (RULES, dashboard):
            for selector in selectors(text):
                name, _, labels = selector.removesuffix("}").partition("{")
                if name in ("up", "ALERTS"):  # Prometheus' own
                    continue
                name = re.sub("_(bucket|count|sum)$", "", name)
                self.assertIn(name, known, selector)
                used = set(re.findall(r'([a-z_]+)[=!]~?"', labels))
                self.assertLessEqual(used, known[name] | {"job", "instance", "le", "pid"}, selector)
                count += 1
        self.assertGreater(count, 80)


class RunbookTests(SynchronousTestCase):
    def test_each_alert_has_an_entry_that_says_how_urgent_it_is(self) -> None:
        found = entries()
        self.assertEqual(list(found), list(ALERTS))
        for name, rule in ALERTS.items():
            self.assertEqual(rule["annotations"]["runbook_url"], f"docs/runbook.md#{name.lower()}")
            self.assertLessEqual({"summary", "description"}, set(rule["annotations"]))
            severity = rule["labels"]["severity"]
            self.assertIn(severity, ("page", "ticket"))
            self.assertTrue(found[name].startswith(f"\n*{severity}.* "), name)
            # Something to look at, or the entry that has it.
            self.assertTrue("\n    " in found[name] or "](#imgforge" in found[name], name)

    def test_settings_and_links_exist(self) -> None:
        monitoring = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
        known = {f"IMGFORGE_{name.upper()}" for name in Settings.fields}
        for text in (RUNBOOK, RULES, monitoring):
            named = set(re.findall(r"\bIMGFORGE_[A-Z_]+\b", text))
            self.assertEqual(named - known, set())
        self.assertGreater(len(re.findall(r"\bIMGFORGE_[A-Z_]+\b", RUNBOOK)), 30)
        headings = {name.lower() for name in entries()}
        for text in (RUNBOOK, monitoring):
            for file, anchor in re.findall(r"\]\(([\w./]*)(?:#([\w-]+))?\)", text):
                self.assertTrue(not file or (ROOT / "docs" / file).exists(), file)
                if anchor and file in ("", "runbook.md"):
                    self.assertIn(anchor, headings)

    def test_lines_of_the_log_that_it_searches_for_are_written(self) -> None:
        written = logged()
        searched = re.findall(r"log[^|\n]*\| grep (?:-\w+ )*'([^']+)'", RUNBOOK)
        self.assertGreater(len(searched), 15)
        for pattern in searched:
            if re.match(r"\\b\(?\d", pattern):
                continue  # a status and a method, as in every line of a failure
            # The words of each alternative are in one text of the code, where {} stands for what varies.
            for alternative in alternatives(pattern):
                words = [part for part in re.split(r"\.\*|\\w\+|\[0-9\]\+", alternative) if part.strip()]
                self.assertTrue(words, pattern)
                for part in words:
                    self.assertIn(part.strip(), written, pattern)

    def test_commands_read_the_configuration_of_the_service(self) -> None:
        count = 0
        for line in re.findall(r"^    .*\bimgforge [a-z].*$", RUNBOOK, re.MULTILINE):
            for called in re.findall(r"(?:^|[;(|{]) *imgforge ([^|;]+)", line.strip()):
                words = called.partition("#")[0].split()
                found = command(" ".join(words[:2])) or command(words[0])
                assert found is not None, line
                self.assertTrue(any("--config" in one.opts for one in found.params), line)
                self.assertIn("$C", words, line)
                for word in words:
                    if word.startswith("--"):
                        self.assertTrue(any(word in one.opts for one in found.params), line)
                count += 1
        self.assertGreater(count, 10)

    def test_jq_reads_an_access_log_among_other_lines(self) -> None:
        lines = io.StringIO()
        log = AccessLog(lines, "json")
        log.write(Access(0.0, "192.0.2.7", "GET", "/x", "HTTP/1.1", 429, 0, 2.0, "3f0c", "", "", ""))
        log.close()
        log_lines = "\n".join(
            (
                "2026-11-28T18:04:11.022Z info  imgforge.web [3f0c] 502 GET /x: the origin cannot be reached",
                lines.getvalue().strip(),
                '{"level": "warn", "message": "slow request: GET /x took 2.0 s", "duration": 2.0, "status": 429}',
                "7",
            )
        )
        commands = re.findall(r"^    log \| (jq [^|\n]*'.*?'[^|\n]*)", RUNBOOK, re.MULTILINE)
        self.assertEqual(len(commands), 2)
        for text in commands:
            ended = subprocess.run(("bash", "-c", text), input=log_lines, capture_output=True, text=True, check=False)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), text)
            self.assertEqual(len(ended.stdout.splitlines()), 1, ended.stdout)

    def test_commands_and_metrics_exist(self) -> None:
        names = set(
            re.findall(
                r"imgforge ([a-z]+(?: [a-z]+)?)",
                " ".join(re.findall(r"`imgforge [^`]+`|^    imgforge .*$", RUNBOOK, re.MULTILINE)),
            )
        )
        self.assertGreater(len(names), 5)
        for name in names:
            self.assertIsNotNone(command(name), name)
        metrics = (ROOT / "docs" / "operations.md").read_text("utf-8")
        for pattern in re.findall(r"metrics \| grep (?:-E )?'\^([^']+)'", RUNBOOK):
            for name in alternatives(pattern):
                self.assertIn(f"`{name.removesuffix('_sum').removesuffix('_count')}", metrics)


def alternatives(pattern: str) -> list[str]:
    """What a pattern of grep -E with groups of alternatives matches."""
    group = re.search(r"\(([^()]*)\)", pattern)
    if group is None:
        return pattern.split("|")
    return [
        one
        for choice in group[1].split("|")
        for one in alternatives(pattern[: group.start()] + choice + pattern[group.end() :])
    ]


def command(name: str) -> click.Command | None:
    """The command of `imgforge` with *name*, of one or two words; the second may be an argument."""
    first, _, second = name.partition(" ")
    found = main.commands.get(first)
    if isinstance(found, click.Group) and second:
        return found.commands.get(second)
    return found
