"""The pictures of a directory, for the demo page of a server that is tried out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice
from urllib.parse import quote

__all__ = ["local_url", "pictures"]

_FORMATS = {
    **{name: name for name in ("png", "webp", "avif", "gif", "heic", "jxl", "bmp", "psd", "svg", "pdf")},
    **dict.fromkeys(("jpg", "jpeg"), "jpeg"),
    **dict.fromkeys(("tif", "tiff"), "tiff"),
    "heif": "heic",
    **dict.fromkeys(("dng", "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2"), "raw"),
}
_MOST_ENTRIES = 20000  # of directories, that are looked at for one page


def pictures(root: str, formats: Collection[str], most: int) -> list[str]:
    """The paths below *root* of at most *most* files whose names say that they are of *formats*, the nearest first."""
    names = (path for path in _files(root) if _FORMATS.get(path.rpartition(".")[2].lower()) in formats)
    return list(islice(names, most))


def _files(root: str) -> Iterator[str]:
    """Files, level by level and in order of their names; hidden ones, and where links to directories lead, left out."""
    directories, left = deque([""]), _MOST_ENTRIES
    while directories and left > 0:
        directory = directories.popleft()
        try:
            with os.scandir(os.path.join(root, directory)) as found:
                entries = sorted(islice(found, left), key=lambda entry: entry.name)
        except OSError:  # it is not ours to read, or has just gone
            continue
        left -= len(entries)
        for entry in entries:
            path = os.path.join(directory, entry.name)
            if entry.name.startswith(".") or not _is_utf8(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                directories.append(path)
            elif entry.is_file():
                yield path


def _is_utf8(name: str) -> bool:
    """Whether a URL can hold the *name*: the bytes of others come from the file system as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def local_url(path: str, query_separator: str) -> str:
    """The source that the file *path* is."""
    # What follows the separator would be no part of the name, unless it is escaped.
    return f"local:///{quote(path) if query_separator and query_separator in path else path}"
