"""The catalogue of errors: for each message its cause, its cure, and the settings that decide it.

docs/errors.md is generated from it, the log names the anchor there, and IMGFORGE_DEVELOPMENT_ERRORS_MODE shows it to
clients.
A process that serves imports it at its start: the first error may come when no file descriptor is left. No command
needs it for images.
"""

from __future__ import annotations

import re
from functools import lru_cache

from imgforge.error_catalogue.endpoints import ENDPOINTS
from imgforge.error_catalogue.entry import Entry
from imgforge.error_catalogue.images import IMAGES
from imgforge.error_catalogue.requests import REQUESTS
from imgforge.error_catalogue.sources import SOURCES
from imgforge.error_catalogue.urls import URLS
from imgforge.errors import ImgforgeError

__all__ = ["CHAPTERS", "DOCUMENT", "Entry", "entry_of"]

DOCUMENT = "docs/errors.md"

# The chapters of the document, each with what it begins with.
CHAPTERS = (
    ("The URL", "The path, its signature, its options and its source.", URLS),
    ("The source", "What may not be fetched, what is not there, and origins that fail.", SOURCES),
    ("The image", "Originals that are broken or too large, and results that cannot be made.", IMAGES),
    ("The request and the server", "Who may ask, how often, in which form; load.", REQUESTS),
    ("The other endpoints", "Purges, the queue, the top tables and the playground.", ENDPOINTS),
)


def entry_of(error: ImgforgeError) -> Entry | None:
    """The entry of *error*; None for one that a plugin has made."""
    message = error.message
    for kind in type(error).__mro__:
        for pattern, entry in _patterns().get(kind, ()):
            if pattern.fullmatch(message):
                return entry
    return None


@lru_cache(maxsize=1)
def _patterns() -> dict[type, list[tuple[re.Pattern[str], Entry]]]:
    """The messages of each class as patterns, those with the longest fixed text first."""
    by_class: dict[type, list[tuple[str, Entry]]] = {}
    for _, _, entries in CHAPTERS:
        for entry in entries:
            for kind in entry.errors:
                by_class.setdefault(kind, []).extend((message, entry) for message in entry.messages)
    return {
        kind: [
            (re.compile(_expression(message), re.DOTALL), entry)
            for message, entry in sorted(rows, key=lambda row: -len(row[0].replace("{}", "")))
        ]
        for kind, rows in by_class.items()
    }


def _expression(message: str) -> str:
    return ".*".join(re.escape(part) for part in message.split("{}"))
