"""Data URLs: sources that have neither host nor path."""

from __future__ import annotations

__all__ = ["is_data_url"]


def is_data_url(url: str) -> bool:
    """Whether *url* is a `data:` URL (RFC 2397)."""
    return url[:5].lower() == "data:"
