"""The formats that this installation reads and writes, and the library that does it: libvips, or an extra's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import pyvips

from imgforge.errors import UnsupportedFormat
from imgforge.pip_command import pip_install
from imgforge.processing.codecs.extras import EXTRAS, Codec, installed
from imgforge.processing.codecs.formats import FORMATS

__all__ = ["Capabilities", "animates", "capabilities", "holds", "missing", "needed_for", "reader", "writer"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The version of libvips, and the names of the formats that are read and written here."""

    version: str
    loads: Collection[str]
    saves: Collection[str]


class _Asked(Collection[str]):
    """The formats that *able* finds, which is asked for one when that one is needed: an encoder of AV1 takes 4 MB."""

    def __init__(self, able: Callable[[str], bool]) -> None:
        self._able = cache(able)

    def __contains__(self, name: object) -> bool:
        return name in FORMATS and self._able(str(name))

    def __iter__(self) -> Iterator[str]:
        return filter(self._able, FORMATS)

    def __len__(self) -> int:
        return len(tuple(self))


@cache
def capabilities() -> Capabilities:
    """Returns what libvips and the extras do, asked once; a format counts as written if a small picture can be."""

    def by_extra(name: str) -> bool:
        extra = FORMATS[name].extra
        return extra in EXTRAS and installed(extra)

    return Capabilities(
        ".".join(str(pyvips.version(part)) for part in range(3)),
        _Asked(lambda name: _loads(name) or by_extra(name)),
        _Asked(lambda name: _saves(name) or (FORMATS[name].writes and by_extra(name))),
    )


def reader(name: str) -> Codec | None:
    """The extra that reads the format; None where libvips does."""
    return None if _loads(name) else EXTRAS.get(FORMATS[name].extra)


def writer(name: str) -> Codec | None:
    """The extra that writes the format; None where libvips does."""
    return None if _saves(name) else EXTRAS.get(FORMATS[name].extra)


def animates(name: str) -> bool:
    """Whether animations can be written in the format, which only libvips does."""
    return FORMATS[name].animation and writer(name) is None


def holds(name: str, *, animated: bool, transparent: bool) -> bool:
    """Whether the format keeps an *animated* or a *transparent* result as it is."""
    return (animates(name) or not animated) and (FORMATS[name].alpha or not transparent)


def missing(name: str, verb: str) -> UnsupportedFormat:
    """Returns the error for a client whose format cannot be read or written here; `needed_for` is for the operator."""
    if verb == "write" and not FORMATS[name].writes:
        return UnsupportedFormat(f"{name} is read only: choose another format for the result")
    return UnsupportedFormat(f"this server does not {verb} {name}")


def needed_for(names: Iterable[str]) -> str:
    """Returns the command that installs the missing formats *names* for this Python, by the libraries' packages.

    The names of our extras would not do: outside a checkout pip takes them from a project of another name.
    """
    extras = {FORMATS[name].extra for name in names}
    packages = {EXTRAS[extra].package if extra else "'pyvips[binary]'" for extra in extras}
    return pip_install(sorted(packages))


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
