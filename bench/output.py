"""Markdown tables, JSON reports, progress messages, and the command-line arguments that programs share."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pyvips

from bench.servers import StartFailed, parse_server

__all__ = [
    "add_json_argument",
    "add_server_arguments",
    "describe_machine",
    "markdown_table",
    "measure_with_servers",
    "print_progress",
    "write_json",
]

T = TypeVar("T")


def measure_with_servers(
    measure: Callable[[ExitStack, argparse.Namespace], T], arguments: argparse.Namespace
) -> T | None:
    """Return what *measure* finds; its servers end with the stack. None, and a line why, where one does not start."""
    try:
        with ExitStack() as stack:
            return measure(stack, arguments)
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return None


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table with aligned columns: the first to the left, the others to the right."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(row: Sequence[str]) -> str:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        return "| " + " | ".join([row[0].ljust(widths[0]), *rest]) + " |"

    return "\n".join(line(row) for row in [cells[0], rule, *cells[1:]])


def describe_machine() -> dict[str, object]:
    """Return the facts about this machine that a reader of figures needs."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "libvips": ".".join(str(pyvips.version(part)) for part in range(3)),
    }


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the servers under test, their sources and the rounds."""
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        type=parse_server,
        metavar="NAME=URL[,PID]",
        help="a running server (may be repeated); its CPU time is measured if PID names its root process."
        " Ratios are relative to the first server",
    )
    parser.add_argument(
        "--start",
        action="store_true",
        help="start this repository's imgforge too (always without --server); it gets IMGFORGE_* of the environment",
    )
    parser.add_argument(
        "--sources",
        choices=("local", "http"),
        default="local",
        help="from where the servers get originals: local:/// in their own root, or an HTTP origin that is started here"
        " (default: local)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server, in alternation (default: 3)")
    add_json_argument(parser)


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`, whose value `write_json` takes."""
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON, too; - prints it instead of tables")


def print_progress(line: str) -> None:
    """Print *line* on standard error; standard output takes the results alone."""
    print(line, file=sys.stderr, flush=True)


def write_json(target: str | None, report: object) -> bool:
    """Write *report* to *target*, the value of `--json`; return whether that was standard output."""
    if target is None:
        return False
    text = json.dumps(report, indent=1) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return True
    Path(target).write_text(text, encoding="utf-8")
    return False
