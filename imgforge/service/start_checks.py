"""The checks of settings at the start and at a reload, without what a supervisor would keep in memory for them.

Where several processes are to serve, checks that need libvips, OpenSSL or the libraries of stores run in a process of
their own, which ends with them: `python -P -m imgforge.service.start_checks`. None is started for settings that need no
such check.

    supervisor ── stdin: the settings and the names of unusable ones, in JSON ──> checks
               <─ stdout: mistakes and warnings, in JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection

from imgforge.config import Settings, broken_rules
from imgforge.plugins import plugin_modules
from imgforge.service.checks import HEAVY, LIGHT, all_plugins, check_settings

__all__ = ["StartChecks", "is_alone"]

_OWN_PROCESS = (
    *("watermark_data", "watermark_path", "fallback_image_data", "fallback_image_path"),
    *("ca_file", "plugin", "cache_use", "use_s3", "use_gcs", "use_abs", "use_swift"),
)
_MOST_SECONDS = 20


class StartChecks:
    """Checks settings, as `load_settings` has it; `warnings` has what the last check found worth a warning."""

    def __init__(self, cpus: int, *, alone: bool | None = None) -> None:
        self._cpus = cpus
        self._alone = alone  # None before the start, which the settings decide
        self.warnings: tuple[str, ...] = ()

    def __call__(self, settings: Settings, unusable: Collection[str]) -> list[str]:
        """One line for each mistake."""
        self.warnings = ()
        if is_alone(settings, self._cpus) if self._alone is None else self._alone:
            self.warnings = _plugin_warnings()
            return check_settings(settings, unusable)
        mistakes = broken_rules(settings, unusable, LIGHT)
        if _need_own_process(settings):
            found = _found_in_own_process(settings, unusable)
            mistakes += found["mistakes"]
            self.warnings = tuple(found["warnings"])
        return mistakes


def is_alone(settings: Settings, cpus: int) -> bool:
    """Whether one process serves, without a supervisor."""
    return (settings.processes or cpus) == 1


def _need_own_process(settings: Settings) -> bool:
    return (
        any(getattr(settings, name) for name in _OWN_PROCESS)
        or any(name.lower().endswith("_proxy") for name in os.environ)
        or bool(plugin_modules())
    )


def _found_in_own_process(settings: Settings, unusable: Collection[str]) -> dict[str, list[str]]:
    question = json.dumps({"settings": settings.given, "unusable": sorted(unusable)})
    command = [sys.executable, "-P", "-m", "imgforge.service.start_checks"]
    reason = ""
    try:
        answer = subprocess.run(  # noqa: S603  our own program
            command, input=question, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS
        )
        if answer.returncode:
            reason = (answer.stderr.strip().splitlines() or [f"status {answer.returncode}"])[-1]
        else:
            found: dict[str, list[str]] = json.loads(answer.stdout.splitlines()[-1])
            return found
    except subprocess.TimeoutExpired:
        reason = f"the checks took more than {_MOST_SECONDS} seconds; a plugin may hang when it is imported"
    except (OSError, ValueError, IndexError) as error:  # no process to be had, or a plugin has printed
        reason = f"{type(error).__name__}: {error}"
    return {"mistakes": [f"the settings cannot be checked: {reason}"], "warnings": []}


def _plugin_warnings() -> tuple[str, ...]:
    return all_plugins().warnings


def _main() -> None:
    question = json.load(sys.stdin)
    mistakes = broken_rules(Settings.from_given(question["settings"]), question["unusable"], HEAVY)
    print(json.dumps({"mistakes": mistakes, "warnings": _plugin_warnings()}))


if __name__ == "__main__":
    _main()
