"""libvips itself: how it is set up for a server, what it can read and write, and what it has in use.

Everything else in this package talks to libvips through pyvips' operations; what is process-wide is here.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyvips

from imgforge.errors import NotAnImage, UnsupportedFormat
from imgforge.processing.codecs.extras import EXTRAS, Codec, installed
from imgforge.processing.codecs.formats import FORMATS

__all__ = [
    "Capabilities",
    "animates",
    "broken",
    "capabilities",
    "configure",
    "field_names",
    "holds",
    "missing",
    "needed_for",
    "reader",
    "remove_field",
    "usage",
    "writer",
]

# The loader of SVG counts as untrusted in libvips; it is given sanitised documents only.
_TRUSTED_AFTER_ALL = "VipsForeignLoadSvg"


def configure() -> None:
    """Set libvips up for this process: one thread an image, no operation cache, no loader for hostile formats.

    Many images are in work at once, so that threads within one would only take turns; no two requests share
    operations; and the loaders that libvips' authors do not trust with hostile bytes stay shut.
    """
    _log_warnings_only()
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)
    if pyvips.at_least_libvips(8, 13):
        pyvips.block_untrusted_set(True)
        pyvips.operation_block_set(_TRUSTED_AFTER_ALL, False)


@cache
def _log_warnings_only() -> None:
    """Keep what libvips says for information away from Python.

    pyvips has it all sent to `logging`: some ten lines an image, and for each of them a thread that is at work in
    libvips has to wait for the interpreter. Nobody reads them.
    """
    library: Any = pyvips
    levels = library.GLogLevelFlags
    library._remove_log_handler()  # noqa: SLF001  pyvips has no other switch
    library._log_handler_id = library.glib_lib.g_log_set_handler(  # noqa: SLF001
        b"VIPS",
        levels.LEVEL_ERROR | levels.LEVEL_CRITICAL | levels.LEVEL_WARNING | levels.FLAG_FATAL | levels.FLAG_RECURSION,
        library._log_handler_cb,  # noqa: SLF001
        library.ffi.NULL,
    )


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the installed libvips does: its version, and the names of formats that it reads and writes."""

    version: str
    loads: tuple[str, ...]
    saves: tuple[str, ...]


@cache
def capabilities() -> Capabilities:
    """Asked of libvips once: a format counts as written only if a small picture really can be."""
    version = ".".join(str(pyvips.version(part)) for part in range(3))
    extras = {extra for extra in EXTRAS if installed(extra)}
    loads = tuple(name for name, one in FORMATS.items() if _loads(name) or one.extra in extras)
    saves = tuple(name for name, one in FORMATS.items() if _saves(name) or (one.writes and one.extra in extras))
    return Capabilities(version, loads, saves)


def reader(name: str) -> Codec | None:
    """The extra that reads the format; None where libvips does."""
    return None if _loads(name) else EXTRAS.get(FORMATS[name].extra)


def writer(name: str) -> Codec | None:
    """The extra that writes the format; None where libvips does."""
    return None if _saves(name) else EXTRAS.get(FORMATS[name].extra)


def animates(name: str) -> bool:
    """Whether animations can be written in the format: libvips only can."""
    return FORMATS[name].animation and writer(name) is None


def holds(name: str, *, animated: bool, transparent: bool) -> bool:
    """Whether a result that moves, or that one can see through, stays what it is in this format."""
    return (animates(name) or not animated) and (FORMATS[name].alpha or not transparent)


def missing(name: str, verb: str) -> UnsupportedFormat:
    """What a client is told of a format that cannot be read or written here; `needed_for` is the operator's."""
    if verb == "write" and not FORMATS[name].writes:
        return UnsupportedFormat(f"{name} is read only: choose another format for the result")
    return UnsupportedFormat(f"this server does not {verb} {name}")


def needed_for(names: Iterable[str]) -> str:
    """What an operator installs to have the formats *names*, which are not there: the packages themselves.

    Not our extras: whoever has not installed us from a checkout would get them from a project of another name.
    """
    extras = {FORMATS[name].extra for name in names}
    packages = {EXTRAS[extra].package if extra else "'pyvips[binary]'" for extra in extras}
    return f"pip install {' '.join(sorted(packages))}"


def _exists(operation: str) -> bool:
    return bool(operation and pyvips.type_find("VipsOperation", operation))


@cache
def _loads(name: str) -> bool:
    """Whether libvips itself reads the format."""
    one = FORMATS[name]
    if not _exists(one.loader):
        return False
    try:
        return not one.sample or pyvips.Operation.call(one.loader, one.sample).avg() >= 0
    except pyvips.Error:
        return False


@cache
def _saves(name: str) -> bool:
    """Whether libvips itself writes the format."""
    one = FORMATS[name]
    if not _exists(one.saver):
        return False
    probe = pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb")
    try:
        pyvips.Operation.call(one.saver, probe, **one.saver_options)
    except pyvips.Error:
        return False
    return True


@cache
def _library() -> ctypes.CDLL | None:
    """The libvips that is loaded, for what pyvips does not declare."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split(None, 5)[5].strip() for line in maps if "/libvips" in line}
    path = next((path for path in sorted(paths) if "libvips-cpp" not in path), None)
    if path is None:
        return None
    library = ctypes.CDLL(path)
    library.vips_tracked_get_mem.restype = ctypes.c_size_t
    library.vips_tracked_get_mem_highwater.restype = ctypes.c_size_t
    return library


def usage() -> dict[str, float]:
    """libvips' own figures: memory in bytes, allocations, open files, threads for one image; empty if unknown."""
    library = _library()
    if library is None:
        return {}
    return {
        "memory_bytes": library.vips_tracked_get_mem(),
        "memory_highwater_bytes": library.vips_tracked_get_mem_highwater(),
        "allocations": library.vips_tracked_get_allocs(),
        "files": library.vips_tracked_get_files(),
        "threads": library.vips_concurrency_get(),
    }


def field_names(image: Any) -> list[str]:
    """The names of an image's metadata; those of a PNG's comments need not be UTF-8, upon which pyvips would fail."""
    array = pyvips.vips_lib.vips_image_get_fields(image.pointer)
    names: list[str] = []
    while array[len(names)] != pyvips.ffi.NULL:
        name = array[len(names)]
        names.append(pyvips.ffi.string(name).decode("utf-8", "surrogateescape"))
        pyvips.glib_lib.g_free(name)
    pyvips.glib_lib.g_free(array)
    return names


def remove_field(image: Any, name: str) -> None:
    """Take out the metadata that `field_names` calls *name*."""
    pyvips.vips_lib.vips_image_remove(image.pointer, name.encode("utf-8", "surrogateescape"))


def broken(error: Exception) -> NotAnImage:
    """What a client is told of an error of libvips: its first line, without addresses and names of ours."""
    lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
    reason = re.sub(r"[^\x20-\x7e]", "", lines[0])[:120] if lines else "it cannot be decoded"
    return NotAnImage(f"the source image is broken: {reason}")
