"""Checks of the settings by the parts that use them, as at the server's start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgforge.cli.doctor.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["check_parts"]


def check_parts(settings: Settings) -> Iterator[Finding]:
    """The mistakes and risks in *settings*, whose values are allowed each by itself."""
    from imgforge.service import all_plugins, check_settings

    mistakes = check_settings(settings, ())
    for line in mistakes:
        yield fail("settings", line, "the server does not start with it")
    if not mistakes:
        yield ok("settings", "can be used")
    for line in (*settings.warnings(), *all_plugins().warnings):
        yield warn("settings", line, "leave it so only on purpose")
