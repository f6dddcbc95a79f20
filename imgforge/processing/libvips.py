"""libvips for a server: its setup in a process, the formats that it reads and writes, and its errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pyvips

from imgforge.errors import NotAnImage, UnsupportedFormat
from imgforge.processing.codecs.extras import EXTRAS, Codec, installed
from imgforge.processing.codecs.formats import FORMATS
from imgforge.processing.pyvips_compat import log_warnings_only

__all__ = [
    "Capabilities",
    "animates",
    "broken",
    "capabilities",
    "configure",
    "holds",
    "missing",
    "needed_for",
    "reader",
    "writer",
]

# The loader of SVG counts as untrusted in libvips; it is given sanitised documents only.
_TRUSTED_AFTER_ALL = "VipsForeignLoadSvg"


def configure() -> None:
    """Set libvips up for this process: one thread an image, no operation cache, no loader for hostile formats.

    Many images are in work at once, so that threads within one would only take turns; no two requests share
    operations; and the loaders that libvips' authors do not trust with hostile bytes stay shut.
    """
    log_warnings_only()
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)
    if pyvips.at_least_libvips(8, 13):
        pyvips.block_untrusted_set(True)
        pyvips.operation_block_set(_TRUSTED_AFTER_ALL, False)


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


def broken(error: Exception) -> NotAnImage:
    """What a client is told of an error of libvips: its first line, without addresses and names of ours."""
    lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
    reason = re.sub(r"[^\x20-\x7e]", "", lines[0])[:120] if lines else "it cannot be decoded"
    return NotAnImage(f"the source image is broken: {reason}")
