"""Checks of what is installed: versions, formats, fonts, extras."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib import metadata

from imgforge import __version__
from imgforge.cli.doctor.finding import Finding, ok, warn
from imgforge.pip_command import pip_install

__all__ = ["check_extras", "check_fonts", "check_formats", "check_versions"]

_DISTRIBUTION = "twisted-imgforge"
_FOR_DEVELOPERS = frozenset({"bench", "lint", "mutation", "tests", "types"})
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)\s*(?P<extras>\[[^]]*\])?(?P<versions>[^;]*)"
    r"(;.*\bextra\s*==\s*['\"](?P<extra>[^'\"]+)['\"].*)?\Z"
)
# The formats of the web: without one of them, results or originals that are common cannot be had.
_OF_THE_WEB = ("jpeg", "png", "webp", "avif", "gif", "svg")


def check_versions() -> Iterator[Finding]:
    """The versions of imgforge and of what it stands on."""
    from imgforge.processing import capabilities

    yield ok("imgforge", f"{__version__}, Python {platform.python_version()}, Twisted {metadata.version('twisted')}")
    yield ok("libvips", f"{capabilities().version}, by pyvips {metadata.version('pyvips')}")


def check_formats() -> Iterator[Finding]:
    """The formats that are read and written here, and those that are not, with what to install for them."""
    from imgforge.processing import FORMATS, capabilities, needed_for
    from imgforge.service import missing_formats

    able = capabilities()
    yield ok("formats", f"reads {', '.join(able.loads)}; writes {', '.join(able.saves)}")
    for name in _OF_THE_WEB:
        if name not in able.loads or (FORMATS[name].writes and name not in able.saves):
            yield warn("formats", f"{name} is not both read and written", needed_for([name]))
    for line in missing_formats(able):
        text, _, cure = line.partition(": that needs ")
        yield ok("formats", text, f"that needs {cure}")


def check_fonts() -> Iterator[Finding]:
    """Whether there is a font, for watermark texts and SVG."""
    from imgforge.processing import configure, draws_texts

    configure()
    if draws_texts():
        yield ok("fonts", "texts can be drawn")
    else:
        yield warn(
            "fonts",
            "there is no font: watermark texts and texts in SVG are boxes",
            "install one, such as the Debian package fonts-dejavu-core",
        )


def check_extras() -> Iterator[Finding]:
    """The extras, and which of their libraries are installed."""
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield warn("extras", f"{_DISTRIBUTION} is not installed as a package", pip_install([_DISTRIBUTION]))
        return
    extras: dict[str, list[str]] = {}
    for text in requirements:
        match = _REQUIREMENT.match(text)
        if match is not None and match["extra"] and match["extra"] not in _FOR_DEVELOPERS:
            needed = f"{match['name']}{match['extras'] or ''}{match['versions'].strip()}"
            extras.setdefault(match["extra"], []).append(needed)
    for extra, libraries in sorted(extras.items()):
        missing = [one for one in libraries if not _version(one)]
        if missing:
            command = pip_install(f"'{one}'" for one in missing)
            yield ok(f"extra {extra}", "is not installed", f"where it is needed: {command}")
        else:
            yield ok(f"extra {extra}", ", ".join(f"{_name(one)} {_version(one)}" for one in libraries))


def _name(requirement: str) -> str:
    match = _REQUIREMENT.match(requirement)
    return match["name"] if match is not None else requirement


def _version(requirement: str) -> str:
    try:
        return metadata.version(_name(requirement))
    except metadata.PackageNotFoundError:
        return ""
