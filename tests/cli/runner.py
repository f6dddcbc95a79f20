"""Runs the `imgforge` command inside the test's process, with an environment of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass

from click.testing import CliRunner

from imgforge.cli import main

__all__ = ["Outcome", "imgforge", "imgforge_reading"]


@dataclass(frozen=True)
class Outcome:
    """A finished command: its exit status, and what it printed to each stream."""

    returncode: int
    stdout: str
    stderr: str


def imgforge(*arguments: str, given: str = "", **environment: str) -> Outcome:
    """Runs `imgforge` with *arguments*, no environment variables but *environment*, and *given* as its input.

    An exception that the command does not handle is raised here, where a process would print a traceback.
    """
    return imgforge_reading(given.encode(), *arguments, **environment)


def imgforge_reading(stdin: bytes, *arguments: str, **environment: str) -> Outcome:
    """Runs `imgforge` as the function of that name does, with *stdin* as its standard input."""
    variables = dict.fromkeys(os.environ) | environment  # click removes the variables that are None
    result = CliRunner().invoke(main, arguments, stdin, env=variables, catch_exceptions=False, prog_name="imgforge")
    return Outcome(result.exit_code, result.stdout, result.stderr)
