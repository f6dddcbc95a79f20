"""Log lines of a serving process at the start: versions, formats, threads, caches, and what is sent elsewhere."""

from __future__ import annotations

import os

from imgforge import __version__, processing
from imgforge.cache import CacheSettings
from imgforge.config import Settings
from imgforge.service.cache_translation import cache_settings, original_cache_settings
from imgforge.service.telemetry import sent_lines
from imgforge.sources import Proxies

__all__ = ["counted", "missing_formats", "summary", "unwritten_formats"]

# The formats that clients get by their Accept header.
_NEGOTIATED = ("jxl", "avif", "webp")


def summary(settings: Settings, processes: int, threads: int) -> list[str]:
    """Versions, formats, processes with *threads* image threads each, caches, and what is sent elsewhere."""
    able = processing.capabilities()
    results, originals = cache_settings(settings), original_cache_settings(settings, processes)
    work = f"{counted(processes, 'process')} with {counted(threads, 'image thread')}"
    return [
        f"imgforge {__version__} with libvips {able.version}",
        f"reads {', '.join(able.loads)}; writes {', '.join(able.saves)}",
        *missing_formats(able),
        f"{work} each" if processes > 1 else work,
        f"cache: {_where(results)}" + (f"; originals: {_where(originals)}" if originals.type else ""),
        *_proxies(),
        *sent_lines(settings, os.environ),
    ]


def _proxies() -> list[str]:
    named = str(Proxies(os.environ))
    return [f"origins are asked through a proxy: {named}"] if named else []


def unwritten_formats(settings: Settings, able: processing.Capabilities) -> list[str]:
    """One line for each setting that asks for a format which cannot be written here."""
    named = {
        f"{how}_{form}": [form]
        for form in _NEGOTIATED
        for how in ("auto", "enforce")
        if getattr(settings, f"{how}_{form}")
    }
    lines = []
    for name, forms in (named | {"preferred_formats": settings.preferred_formats}).items():
        unwritten = [form for form in forms if form not in able.saves]
        if unwritten:
            lines.append(
                f"IMGFORGE_{name.upper()}: {', '.join(unwritten)} is without effect: it cannot be written here"
            )
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


def _where(cache: CacheSettings) -> str:
    own = f"{cache.type} ({cache.disk_path})" if cache.type in {"disk", "hybrid"} else cache.type
    shared = f"shared in {cache.shared.use}" if cache.shared.use else ""
    return ", ".join(filter(None, (own, shared))) or "none"


def counted(number: int, name: str) -> str:
    """*number* and *name*, in the plural unless it is one."""
    plural = f"{name}{'es' if name.endswith('s') else 's'}"
    return f"{number} {name if number == 1 else plural}"
