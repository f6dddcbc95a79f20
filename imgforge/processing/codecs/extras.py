"""The libraries beside libvips: one row for each extra that brings formats.

Each is a further set of decoders to trust, so that it is installed on purpose (`pip install pillow-heif`), and it is
imported when an image first needs it. `formats` names the extra of a format; libvips is preferred where it can do it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from imgforge.processing.codecs import heic, jxl, pdf, pillow, raw

__all__ = ["EXTRAS", "Codec", "installed"]


@dataclass(frozen=True, slots=True)
class Codec:
    """An extra: `load(body, name, **options)` returns an image, `save(image, name, **options)` a file.

    The options are those of libvips' loaders and savers that the format's row names. `needs` is the module that must be
    importable, `package` its name in pip. `load` raises only errors of imgforge.
    """

    needs: str
    package: str
    load: Callable[..., Any]
    save: Callable[..., bytes] | None = None


EXTRAS: dict[str, Codec] = {
    "formats": Codec("PIL.Image", "pillow", pillow.load, pillow.save),
    "heic": Codec("pillow_heif", "pillow-heif", heic.load, heic.save),
    "jxl": Codec("pillow_jxl", "pillow-jxl-plugin", jxl.load, jxl.save),
    "pdf": Codec("pypdfium2", "pypdfium2", pdf.load),
    "raw": Codec("rawpy", "rawpy", raw.load),
}


def installed(extra: str) -> bool:
    """Whether the library of *extra*, a key of `EXTRAS`, is installed."""
    try:
        return find_spec(EXTRAS[extra].needs) is not None
    except ImportError:  # its parent package is missing
        return False
