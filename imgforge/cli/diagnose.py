"""`imgforge doctor`: whether this installation, machine and configuration can serve images, a line for each check."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from imgforge.cli.common import CONFIG

if TYPE_CHECKING:
    from imgforge.cli.doctor import Finding

__all__ = ["doctor"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(short_help="Check the installation, the machine and what the settings reach.")
@click.option("--origin", "-o", "origins", multiple=True, help="URL of an original to fetch as the server would.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@CONFIG
def doctor(origins: tuple[str, ...], as_json: bool, strict: bool, config_path: str | None) -> None:
    """Check the installation, the machine and what the settings have the server reach.

    A line for each check: ok, warn or fail, what was found, and what to do. The exit status is 1 if any check failed.
    Nothing is written but a temporary file in the cache's directory.
    """
    counts = dict.fromkeys(_COLOURS, 0)
    findings = []
    for finding in _findings(config_path, origins):
        counts[finding.level] += 1
        findings.append(finding)
        if not as_json:
            cure = f"; {finding.cure}" if finding.cure else ""
            level = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
            click.echo(f"{level}  {finding.check}: {finding.text}{cure}")
    good = not counts["fail"] and not (strict and counts["warn"])
    if as_json:
        click.echo(json.dumps({"good": good, **counts, "checks": [one._asdict() for one in findings]}, indent=2))
    raise SystemExit(0 if good else 1)


def _findings(config_path: str | None, origins: tuple[str, ...]) -> Iterator[Finding]:
    from imgforge.cli import doctor as checks
    from imgforge.config import ConfigurationError, load_settings

    for name, check in (
        ("libvips", checks.check_versions),
        ("formats", checks.check_formats),
        ("fonts", checks.check_fonts),
        ("extras", checks.check_extras),
    ):
        yield from _guarded(name, check())
    try:
        settings = load_settings(config_path, os.environ)
    except ConfigurationError as error:
        for line in error.lines:
            yield checks.Finding(checks.Level.FAIL, "settings", line, "the server does not start with it")
        return
    for name, of_settings in (
        ("settings", checks.check_parts),
        ("processes", checks.check_processes),
        ("memory", checks.check_memory),
        ("descriptors", checks.check_descriptors),
        ("cache directory", checks.check_cache_directory),
        ("ports", checks.check_ports),
        ("stores", checks.check_stores),
    ):
        yield from _guarded(name, of_settings(settings))
    yield from _guarded("origins", checks.check_origins(settings, origins))
    yield from _guarded("shared cache", checks.check_shared_cache(settings))
    yield from _guarded("queue", checks.check_queue(settings))


def _guarded(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The *findings* of a check, and if it raises, a last one that says so: the other checks go on."""
    from imgforge.cli.doctor import Finding, Level

    try:
        yield from findings
    except Exception as error:  # whatever is broken here is what the command is to tell
        text = f"the check failed: {type(error).__name__}: {' '.join(str(error).split())}"
        yield Finding(Level.FAIL, name, text, "install imgforge anew if a library is missing or damaged")
