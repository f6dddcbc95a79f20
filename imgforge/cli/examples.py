"""The example files of etc/: a wheel has them inside the package, a checkout beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import imgforge

__all__ = ["configuration_example", "unit_example"]

_PACKAGE = Path(imgforge.__file__).parent
_PLACES = (_PACKAGE / "etc", _PACKAGE.parent / "etc")
_TWISTD = "/opt/imgforge/bin/twistd"  # as the unit has it


def _read(name: str) -> str:
    path = next(path for place in _PLACES if (path := place / name).is_file())
    return path.read_text("utf-8")


def configuration_example() -> str:
    """The TOML file with every setting."""
    return _read("imgforge.toml")


def unit_example() -> str:
    """The systemd unit, for the twistd beside the Python that runs this."""
    twistd = Path(sys.executable).with_name("twistd")
    unit = _read("imgforge.service")
    return unit.replace(_TWISTD, str(twistd)) if twistd.is_file() else unit
