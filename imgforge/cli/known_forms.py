"""Remembers which options have been parsed: most of a million paths have the same ones."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from imgforge.urls import UrlSettings

__all__ = ["KnownForms"]

_LONGEST = 8192  # characters of a path; the server takes twice as many bytes
# The options, the source, plain or in base64, and its format, of most paths; the options have SEPARATOR.
_PATH = (
    r"((?:/[^/%]*SEPARATOR[^/%]*)*+)/"
    r"(?:(plain/)((?:[A-Za-z0-9/:._~-]|%[0-9A-Fa-f]{2})+)(?:@([a-z0-9]+))?"
    r"|([A-Za-z0-9_-][A-Za-z0-9_/-]*)(?:\.([a-z0-9]+))?)"
)
_ENCRYPTED = "enc/"
_MOST = 4096

Form = tuple[str, str, str]


class KnownForms:
    """The forms of good paths. The form of a path is its options, `plain/` or nothing, and its format.

    A path with the form of a good one is good as well, with the same options. Paths are the parts that are signed.
    """

    def __init__(self, rules: UrlSettings) -> None:
        self._path = re.compile(_PATH.replace("SEPARATOR", re.escape(rules.arguments_separator)))
        # Otherwise a part of what looks like base64 may be a preset, or a name for search engines.
        self._any_base64 = not rules.only_presets and not rules.base64_url_includes_filename
        self._known: set[Form] = set()

    def __contains__(self, path: str) -> bool:
        return self._form(path) in self._known

    def add(self, path: str) -> None:
        """Remembers the form of *path*, which is good."""
        form = self._form(path)
        if form is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known.add(form)

    def _form(self, path: str) -> Form | None:
        """The form of *path*; None where its source needs the whole parser."""
        if len(path) > _LONGEST or not path.isascii():
            return None
        match = self._path.fullmatch(path)
        if match is None:
            return None
        head, plain, source, extension, encoded, encoded_extension = match.groups("")
        try:
            if plain:
                readable = unquote(source, errors="strict") if "%" in source else source
            elif self._any_base64 and not encoded.startswith(_ENCRYPTED):
                encoded = encoded.replace("/", "")
                readable = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            else:
                return None
        except ValueError:
            return None
        return (head, plain, extension or encoded_extension) if readable.isprintable() else None
