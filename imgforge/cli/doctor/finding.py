"""What one check has found."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Finding", "Level", "fail", "ok", "warn"]


class Level(StrEnum):
    """How bad it is: `fail` keeps images from being served, `warn` may."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """The result of a check: what was found, and what the operator can do; each a line."""

    level: Level
    check: str
    text: str
    cure: str = ""


def ok(check: str, text: str, cure: str = "") -> Finding:
    """A finding without a fault; *cure* is what may be added."""
    return Finding(Level.OK, check, text, cure)


def warn(check: str, text: str, cure: str) -> Finding:
    """A risk."""
    return Finding(Level.WARN, check, text, cure)


def fail(check: str, text: str, cure: str) -> Finding:
    """A fault."""
    return Finding(Level.FAIL, check, text, cure)
