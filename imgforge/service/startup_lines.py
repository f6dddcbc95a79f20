"""Log lines of the main process at the start: addresses, and warnings about risky or ineffective settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from imgforge.cache import usable_directory
from imgforge.config import BindAddress, Settings
from imgforge.service.shares import clients_per_process, origin_connections_kept

__all__ = ["StartupLines", "descriptors_needed", "listening", "warnings"]

# Descriptors of a process besides: files, listeners, the reactor's own, connections to origins that are in use.
_OTHER_DESCRIPTORS = 128


class StartupLines(NamedTuple):
    """Log lines of the start: warnings, and the addresses, once they accept requests."""

    warnings: Sequence[str]
    listening: Sequence[str]


def listening(settings: Settings, addresses: Sequence[BindAddress]) -> list[str]:
    """The *addresses* that accept requests now: those of the listeners, then those of the metrics' own."""
    served, metrics = addresses[: len(settings.listeners)], addresses[len(settings.listeners) :]
    lines = [f"listening on {', '.join(map(str, served))}"]
    if settings.embedded and served[0].kind != "unix":
        lines.append(f"a page to try it out on: {served[0]}/")
    if metrics:
        lines.append(f"metrics on {', '.join(map(str, metrics))}")
    return lines


def warnings(settings: Settings, processes: int, descriptors: int) -> list[str]:
    """Warnings for the operator; each process may have *descriptors* files open."""
    lines = [*settings.warnings()]
    path = settings.prepare_state_directory()
    if path and not usable_directory(path):
        lines.append(f"the cache directory {path} cannot be written: images are served as if uncached")
    needed = descriptors_needed(settings, processes)
    if needed > descriptors:
        lines.append(
            f"IMGFORGE_MAX_CLIENTS: {clients_per_process(settings, processes)} clients of a process and its other "
            f"files need {needed} descriptors, and {descriptors} is the limit (ulimit -n, LimitNOFILE=)"
        )
    return lines


def descriptors_needed(settings: Settings, processes: int) -> int:
    """The descriptors that each process may need, for its clients, idle connections to origins and all else."""
    return clients_per_process(settings, processes) + origin_connections_kept(settings) + _OTHER_DESCRIPTORS
