"""Reads access logs and counts the image paths that they have."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import click

from imgforge.cli.line_reader import BrokenInput, chunks, inflated, line_batches, opened
from imgforge.cli.progress import ProgressBar
from imgforge.cli.warming.image_paths import ImagePaths, is_success
from imgforge.cli.warming.log_formats import LogParser
from imgforge.cli.warming.path_counts import PathCounts

__all__ = ["LogReader", "LogTotals"]

_LONGEST = 64 * 1024  # bytes of a line; servers take requests of 8 to 32 KiB
_RECENT = 8192  # targets that are remembered, as most requests are for a few images
_USUAL = 512  # bytes of a target, beyond which it is not remembered


@dataclass(slots=True)
class LogTotals:
    """Numbers of lines, of requests of any kind among them, and of images that were served."""

    lines: int = 0
    requests: int = 0
    images: int = 0


class LogReader:
    """Counts in *counts* the paths that *images* takes, of successful requests at *since* (seconds) or later."""

    def __init__(self, images: ImagePaths, counts: PathCounts, since: float | None) -> None:
        self.totals = LogTotals()
        self._images = images
        self._counts = counts
        self._since = since
        self._counted = lru_cache(maxsize=_RECENT)(images.counted)

    def read(self, paths: Sequence[str]) -> None:
        """Reads the logs at *paths*, packed or not; raises `OSError`. A damaged one is read up to the damage."""
        sizes = [_size(path) for path in paths]
        total = float(sum(sizes)) if all(sizes) else None
        before = 0
        with ProgressBar("reading", total) as progress:
            for path, size in zip(paths, sizes, strict=True):
                with opened(path) as stream:
                    self._read(path, stream, before, progress)
                before += size

    def _read(self, path: str, stream: BinaryIO, before: int, progress: ProgressBar) -> None:
        read = before

        def counted() -> Iterator[bytes]:
            nonlocal read
            for chunk in chunks(stream):
                read += len(chunk)
                yield chunk

        parser, totals = LogParser(), self.totals
        try:
            for lines in line_batches(inflated(counted()), _LONGEST):
                totals.lines += len(lines)
                for line in lines:
                    if line:
                        self._take(parser, line)
                progress.update(read, f"{totals.lines} lines, {totals.images} images")
        except BrokenInput as error:
            click.echo(f"imgforge: {path}: {error}: what comes before is used", err=True)

    def _take(self, parser: LogParser, line: bytes) -> None:
        request = parser.parse(line)
        if request is None:
            return
        self.totals.requests += 1
        if not is_success(request) or (self._since is not None and (request.at is None or request.at < self._since)):
            return
        target = request.target
        path = self._counted(target) if len(target) < _USUAL else self._images.counted(target)
        if path is not None:
            self.totals.images += 1
            self._counts.add(path)


def _size(path: str) -> int:
    """The bytes of the file at *path*; 0 where they are not known."""
    try:
        return 0 if path == "-" else os.stat(path).st_size
    except OSError:
        return 0
