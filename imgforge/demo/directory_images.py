"""Finds the images of a directory, for the demo page."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice
from urllib.parse import quote

__all__ = ["find_images", "local_url"]

_FORMATS = {
    **{name: name for name in ("png", "webp", "avif", "gif", "heic", "jxl", "bmp", "psd", "svg", "pdf")},
    **dict.fromkeys(("jpg", "jpeg"), "jpeg"),
    **dict.fromkeys(("tif", "tiff"), "tiff"),
    "heif": "heic",
    **dict.fromkeys(("dng", "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2"), "raw"),
}
_MOST_ENTRIES = 20000  # directory entries that are read for one page


def find_images(root: str, formats: Collection[str], most: int) -> list[str]:
    """Paths below *root* of at most *most* files with a suffix of one of *formats*, level by level.

    `OSError` where *root* cannot be read; directories below it that cannot be read are left out.
    """
    paths = (path for path in _files(root) if _FORMATS.get(path.rpartition(".")[2].lower()) in formats)
    return list(islice(paths, most))


def _files(root: str) -> Iterator[str]:
    """Files, level by level and sorted by name, without hidden ones; links to directories are not followed."""
    directories, remaining = deque([""]), _MOST_ENTRIES
    while directories and remaining > 0:
        directory = directories.popleft()
        try:
            with os.scandir(os.path.join(root, directory)) as scanned:
                entries = sorted(islice(scanned, remaining), key=lambda entry: entry.name)
        except OSError:  # unreadable, or just removed
            if not directory:
                raise
            continue
        remaining -= len(entries)
        for entry in entries:
            path = os.path.join(directory, entry.name)
            if entry.name.startswith(".") or not _is_utf8(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                directories.append(path)
            elif entry.is_file():
                yield path


def _is_utf8(name: str) -> bool:
    """Whether a URL can hold the *name*: Python reads bytes that are not UTF-8 as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def local_url(path: str, query_separator: str) -> str:
    """The source URL of the file *path*."""
    # A separator in the name has to be escaped: the rest would not belong to the name.
    return f"local:///{quote(path) if query_separator and query_separator in path else path}"
