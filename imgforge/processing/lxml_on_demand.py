"""lxml, imported by the first image that needs it: a process that draws no SVG and reads no XMP saves its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["etree"]

if TYPE_CHECKING:
    from lxml import etree
else:

    class _Etree:
        """Has the names of `lxml.etree`."""

        def __getattr__(self, name: str) -> Any:
            from lxml import etree as imported

            value = getattr(imported, name)
            setattr(self, name, value)
            return value

    etree = _Etree()
