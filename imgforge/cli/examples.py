"""Reads the example files of etc/: a wheel has them inside the package, a checkout beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import imgforge

__all__ = ["configuration_example", "unit_example"]

_PACKAGE = Path(imgforge.__file__).parent
_DIRECTORIES = (_PACKAGE / "etc", _PACKAGE.parent / "etc")
_UNIT_TWISTD = "/opt/imgforge/bin/twistd"  # the path in etc/imgforge.service


def _read(name: str) -> str:
    path = next(path for directory in _DIRECTORIES if (path := directory / name).is_file())
    return path.read_text("utf-8")


def configuration_example() -> str:
    """Returns the TOML file with every setting and its default."""
    return _read("imgforge.toml")


def unit_example() -> str:
    """Returns the systemd unit, with the path of the twistd beside the running Python."""
    twistd = Path(sys.executable).with_name("twistd")
    unit = _read("imgforge.service")
    return unit.replace(_UNIT_TWISTD, str(twistd)) if twistd.is_file() else unit
