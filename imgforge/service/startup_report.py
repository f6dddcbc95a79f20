"""Log lines at the start: what runs, and warnings about risky or ineffective settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from imgforge import __version__, processing
from imgforge.cache import CacheSettings, usable_directory
from imgforge.config import BindAddress, Settings
from imgforge.service.translation import cache_settings, clients_per_process, original_cache_settings
from imgforge.sources import find_plugins

__all__ = ["StartupReport", "counted", "listening", "missing_formats", "summary", "warnings"]

# Descriptors of a process besides its clients: files, listeners, the reactor's own, connections to some origins.
_OTHER_DESCRIPTORS = 128


class StartupReport(NamedTuple):
    """Log lines of the start: information, warnings, and the addresses, once they accept requests."""

    lines: Sequence[str]
    warnings: Sequence[str]
    listening: Sequence[str]


def summary(settings: Settings, processes: int, threads: int) -> list[str]:
    """Versions, formats, processes with *threads* image threads each, caches."""
    able = processing.capabilities()
    results, originals = cache_settings(settings), original_cache_settings(settings, processes)
    work = f"{counted(processes, 'process')} with {counted(threads, 'image thread')}"
    return [
        f"imgforge {__version__} with libvips {able.version}",
        f"reads {', '.join(able.loads)}; writes {', '.join(able.saves)}",
        *missing_formats(able),
        f"{work} each" if processes > 1 else work,
        f"cache: {_where(results)}" + (f"; originals: {_where(originals)}" if originals.type else ""),
    ]


def listening(settings: Settings, addresses: Sequence[BindAddress]) -> list[str]:
    """The *addresses* that accept requests now: those of the listeners, then those of the metrics' own."""
    served, metrics = addresses[: len(settings.listeners)], addresses[len(settings.listeners) :]
    lines = [f"listening on {', '.join(map(str, served))}"]
    if settings.embedded and served[0].kind != "unix":
        lines.append(f"a page to try it out on: {served[0]}/")
    if metrics:
        lines.append(f"metrics on {', '.join(map(str, metrics))}")
    return lines


def missing_formats(able: processing.Capabilities) -> list[str]:
    """The formats that cannot be read or written, and what to install for them."""
    lines = []
    unread = [name for name in processing.FORMATS if name not in able.loads]
    unwritten = [name for name, one in processing.FORMATS.items() if one.writes and name not in able.saves]
    for verb, names in (("read", unread), ("write", unwritten)):
        separate = [name for name in names if processing.FORMATS[name].extra]
        if separate:
            lines.append(f"does not {verb} {', '.join(separate)}: that needs {processing.needed_for(separate)}")
        lines += [
            f"does not {verb} {name}: that needs a libvips with {processing.FORMATS[name].needs},"
            f" as that of {processing.needed_for([name])} is"
            for name in names
            if name not in separate
        ]
    return lines


def warnings(settings: Settings, processes: int, descriptors: int) -> list[str]:
    """Warnings for the operator; each process may have *descriptors* files open."""
    lines = [*settings.warnings(), *find_plugins().warnings]
    path = settings.prepare_state_directory()
    if path and not usable_directory(path):
        lines.append(f"the cache directory {path} cannot be written: images are served as if uncached")
    clients = clients_per_process(settings, processes)
    if clients + _OTHER_DESCRIPTORS > descriptors:
        lines.append(
            f"IMGFORGE_MAX_CLIENTS: {clients} clients of a process and its other files need "
            f"{clients + _OTHER_DESCRIPTORS} descriptors, and {descriptors} is the limit (ulimit -n, LimitNOFILE=)"
        )
    return lines


def _where(cache: CacheSettings) -> str:
    return f"{cache.type} ({cache.disk_path})" if cache.type in {"disk", "hybrid"} else cache.type or "none"


def counted(number: int, name: str) -> str:
    """*number* and *name*, in the plural unless it is one."""
    plural = f"{name}{'es' if name.endswith('s') else 's'}"
    return f"{number} {name if number == 1 else plural}"
