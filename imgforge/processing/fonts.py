"""Whether texts can be drawn: Pango needs a font, and draws boxes of one width for all characters without any."""

from __future__ import annotations

import pyvips

__all__ = ["draws_texts"]

_FONT = "sans 16"


def draws_texts() -> bool:
    """Returns whether there is a font for watermark texts and the texts of SVG."""
    try:
        narrow, wide = (pyvips.Image.text(letters, font=_FONT).width for letters in ("iii", "WWW"))
    except pyvips.Error:
        return False
    return bool(narrow < wide)
