"""The works of the public image-servers-benchmark: its requests in each server's syntax, and what it published."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["BOX", "PUBLISHED_ON", "WORKS", "PublicWork", "request_path"]

BOX = 512  # pixels; the results fit into this square
PUBLISHED_ON = "c7i.large (two CPUs), 2026-05-28: imgproxy latest (4.0.3), thumbor 7.7.7, imagor 1.9.1"


@dataclass(frozen=True, slots=True)
class PublicWork:
    """Pictures of one format and their renditions in the same format; images per second as published, by server."""

    format: str
    quality: int
    published: Mapping[str, float]

    @property
    def title(self) -> str:
        """A title for tables."""
        return f"{self.format} -> fit {BOX} {self.format}, quality {self.quality}"


WORKS = (
    PublicWork("jpg", 80, {"imgproxy": 82.0, "thumbor": 59.5, "imagor": 74.3}),
    PublicWork("png", 80, {"imgproxy": 17.3, "thumbor": 10.2, "imagor": 18.6}),
    PublicWork("webp", 75, {"imgproxy": 24.3, "thumbor": 15.8, "imagor": 21.2}),
    PublicWork("avif", 65, {"imgproxy": 17.2, "thumbor": 14.9, "imagor": 17.8}),
)


def _imgproxy(work: PublicWork, source: str) -> str:
    return f"/unsafe/rs:fit:{BOX}:{BOX}/f:{work.format}/q:{work.quality}/plain/{source}"


def _thumbor(work: PublicWork, source: str) -> str:
    return f"/unsafe/fit-in/{BOX}x{BOX}/filters:format({work.format}):quality({work.quality})/{source}"


# Servers with a syntax of their own; all others have imgproxy's.
_SYNTAXES: Mapping[str, Callable[[PublicWork, str], str]] = {"thumbor": _thumbor, "imagor": _thumbor}


def request_path(server: str, work: PublicWork, source: str) -> str:
    """Return the path that asks *server* for *work* on the URL *source*; `imagor-1.9` has the syntax of `imagor`."""
    kind = re.split(r"[^a-z]", server.lower(), maxsplit=1)[0]
    return _SYNTAXES.get(kind, _imgproxy)(work, source)
