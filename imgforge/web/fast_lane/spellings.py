"""The ways to write a request for one cache entry, by which the fast lane finds its prebuilt responses."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.model import Hints

__all__ = ["Spelling", "Variants"]

# The first line of a GET up to its version; with the formats (`accepted_formats`) and hints where its responses vary.
Spelling = bytes | tuple[bytes, int, Hints | None]


@dataclass(slots=True)
class Variants:
    """By what the responses to a request line vary, and how many of them are in the table."""

    by_formats: bool
    by_hints: bool
    count: int = 0
