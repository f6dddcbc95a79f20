"""The names of results: a file, a directory, or a pattern such as out/{dir}/{name}-300.{ext}."""

from __future__ import annotations

import os
import re
from pathlib import PurePath

from imgforge.cli.offline.input_files import InputFile

__all__ = ["OutputNames"]

_FIELDS = ("dir", "ext", "height", "name", "width")
_FIELD = re.compile(r"\{([^{}]*)\}")
# Those of formats whose files have another ending than their name.
_EXTENSIONS = {"jpeg": "jpg"}
_OF_RESULT = frozenset({"ext", "height", "width"})  # known once a file is processed


class OutputNames:
    """Names of results by *pattern*; a pattern without a field names a directory where *several* files are processed.

    `ValueError` with one line for a pattern that has an unknown field, or the same name for several files.
    """

    def __init__(self, pattern: str, *, several: bool) -> None:
        fields = set(_FIELD.findall(pattern))
        if unknown := fields - {*_FIELDS}:
            known = ", ".join(f"{{{name}}}" for name in _FIELDS)
            raise ValueError(f"OUT has {{{min(unknown)}}}: the fields are {known}")
        if not fields and (several or pattern.endswith("/") or os.path.isdir(pattern)):
            pattern = os.path.join(pattern, "{dir}", "{name}.{ext}")
            fields = {"dir", "ext", "name"}
        if several and "name" not in fields:
            raise ValueError("OUT gives all files one name: use {name} in it, or name a directory")
        self.pattern = pattern
        self._fields = fields

    @property
    def extension(self) -> str:
        """The extension that the pattern itself has, in lower case and without its dot; it names the format."""
        ending = PurePath(self.pattern).suffix
        return "" if "{" in ending or "}" in ending else ending[1:].lower()

    @property
    def directory(self) -> str:
        """The directory in which all results are, as far as the pattern says."""
        before = self.pattern.partition("{")[0] if self._fields else self.pattern
        return os.path.dirname(before)

    def early(self, file: InputFile, format_name: str) -> str:
        """The name of *file*'s result before it is there, where its format suffices for that; else empty."""
        unknown = self._fields & _OF_RESULT
        if unknown - {"ext"} or (unknown and not format_name):
            return ""
        return self.of(file, format_name, 0, 0)

    def of(self, file: InputFile, format_name: str, width: int, height: int) -> str:
        """The name of *file*'s result, whose size is in pixels; without a format it keeps the extension of the file."""
        path = PurePath(file.path)
        values = {
            "dir": file.directory,
            "ext": _EXTENSIONS.get(format_name, format_name) or path.suffix[1:] or "bin",
            "height": str(height),
            "name": path.stem,
            "width": str(width),
        }
        return os.path.normpath(_FIELD.sub(lambda field: values[field[1]], self.pattern))
