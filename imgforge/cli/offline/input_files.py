"""The files that the arguments of `imgforge process` name: files, directories, and patterns such as '*.jpg'."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from glob import has_magic, iglob
from pathlib import Path
from typing import NamedTuple

from imgforge.cli.offline.temporary_database import sorted_on_disk

__all__ = ["InputFile", "find_inputs"]


class InputFile(NamedTuple):
    """A file, and the directory below that of the argument in which it was found; "" directly in it."""

    path: str
    directory: str = ""


def find_inputs(arguments: Iterable[str], extensions: Collection[str], left_out: str = "") -> Iterator[InputFile]:
    """The files of *arguments*, those of a directory or a pattern in the order of their names.

    Of directories it is the files with one of *extensions*, in lower case and without a dot; hidden ones are left out,
    and so is the directory *left_out* with all below it. Raises `FileNotFoundError` for an argument without any file.
    """
    for argument in arguments:
        empty = True
        for found in _found(argument, extensions, os.path.realpath(left_out) if left_out else ""):
            empty = False
            yield found
        if empty:
            raise FileNotFoundError(argument)


def _found(argument: str, extensions: Collection[str], left_out: str) -> Iterator[InputFile]:
    if os.path.isdir(argument):
        yield from _below(argument, extensions, left_out)
    elif os.path.lexists(argument) or not has_magic(argument):
        if os.path.lexists(argument):
            yield InputFile(argument)
    else:
        for path in sorted_on_disk(iglob(argument, recursive=True)):
            if not os.path.isdir(path):
                yield InputFile(path)


def _below(root: str, extensions: Collection[str], left_out: str) -> Iterator[InputFile]:
    for directory, below, names in os.walk(root):
        below[:] = sorted(
            name
            for name in below
            if not name.startswith(".") and (not left_out or os.path.realpath(Path(directory, name)) != left_out)
        )
        relative = os.path.relpath(directory, root)
        for name in sorted(names):
            if not name.startswith(".") and name.rpartition(".")[2].lower() in extensions:
                yield InputFile(os.path.join(directory, name), "" if relative == os.curdir else relative)
