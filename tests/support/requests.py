"""An image request, as the URL parser returns it."""

from __future__ import annotations

from imgforge.model import ImageRequest

__all__ = ["REQUEST"]


REQUEST = ImageRequest("http://origin.example/some/photo.one.png?size=1")
