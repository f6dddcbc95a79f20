"""The libraries beside libvips: one row for each extra that brings formats.

They are second sets of decoders, so that each is installed on purpose (`pip install pillow-heif`) and imported when a
picture first needs it. Which of them a format is left to is said in `formats`; libvips is preferred where it can.
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
    """What an extra does: `load(body, name, **options)` is an image, `save(image, name, **options)` a file.

    The options are those of libvips' loaders and savers, as far as the format's row says that it takes them. `needs` is
    the module that must be importable, `package` what pip installs it by. `load` raises nothing but our own errors.
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
    """Whether the library of *extra*, a key of `EXTRAS`, is there."""
    try:
        return find_spec(EXTRAS[extra].needs) is not None
    except ImportError:  # of the package that it is in
        return False
