"""`local:///path`: files below one directory.

Every spelling of a path ends at the same check: the file is opened first, and the name that the kernel then gives for
the open file must lie below the root. A symbolic link, a `..` or a rename in between cannot lead out.
"""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IConsumer, IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from imgforge.errors import OriginFailed, SourceNotFound, SourceTooLarge
from imgforge.interfaces import ISource, Room, boundless
from imgforge.model import SourceHead, SourceImage
from imgforge.ranges import Unsatisfiable, byte_range
from imgforge.sources._pump import Pump

__all__ = ["LocalSource"]


@implementer(ISource)
class LocalSource:
    """Regular files below *root*, read on *pool*; what follows *query_separator* in a URL is no part of the name."""

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool, root: str, query_separator: str = "?") -> None:
        self._reactor = reactor
        self._pool = pool
        self._root = Path(root).resolve()
        self._query_separator = query_separator

    def fetch(
        self,
        url: str,
        limit: int | None,
        headers: Mapping[str, str],
        room: Room = boundless,
    ) -> Deferred[SourceImage]:
        """See `ISource`; the validators are made of the file's time and size."""
        return ensureDeferred(self._fetch(self._name(url), limit, headers.get("if-none-match", ""), room))

    async def _fetch(self, name: str, limit: int | None, known: str, room: Room) -> SourceImage:
        file, status = await deferToThreadPool(self._reactor, self._pool, self._open, name)
        with file:
            if known == _etag(status):
                return SourceImage(b"", _content_type(name), known, _modified(status), unchanged=True)
            size = status.st_size
            if limit is not None and size > limit:
                raise SourceTooLarge(f"the source has {size} bytes, more than {limit}")
            await room(size)
            # One byte more than it should have: a file that grows meanwhile is not let past the limit.
            body = await deferToThreadPool(self._reactor, self._pool, file.read, size + 1)
            if len(body) != size:
                raise OriginFailed("the source changed while it was read")
            return SourceImage(body, _content_type(name), _etag(status), _modified(status))

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; answers a single byte range."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        name = self._name(url)
        file, status = await deferToThreadPool(self._reactor, self._pool, self._open, name)
        with file:
            head = {
                "content-type": _content_type(name),
                "etag": _etag(status),
                "last-modified": _modified(status),
                "accept-ranges": "bytes",
            }
            size = status.st_size
            same = headers.get("if-range", head["etag"]) in {head["etag"], head["last-modified"]}
            try:
                part = byte_range(headers.get("range", ""), size) if same else None
            except Unsatisfiable:
                started(SourceHead(416, {"content-range": f"bytes */{size}"}, 0))
                return
            if part is None:
                start, end, code = 0, size, 200
            else:
                start, end, code = *part, 206
                head["content-range"] = f"bytes {start}-{end - 1}/{size}"
            consumer = started(SourceHead(code, head, end - start))
            file.seek(start)
            await Pump(lambda most: deferToThreadPool(self._reactor, self._pool, file.read, most), consumer).run(
                end - start
            )

    def _name(self, url: str) -> str:
        path = url.partition("://")[2]
        return path.partition(self._query_separator)[0] if self._query_separator else path

    def _open(self, name: str) -> tuple[BinaryIO, os.stat_result]:
        """The file of that *name*, or where there is none and it has percent-escapes the one that they stand for."""
        # Non-blocking, so that a named pipe does not hold the thread.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        for spelling in dict.fromkeys((name, unquote(name))):
            try:
                descriptor = os.open(f"{self._root}/{spelling.lstrip('/')}", flags)
                break
            except (OSError, ValueError):  # ValueError: NUL, or what no file name can hold
                continue
        else:
            raise SourceNotFound("no such file")
        status = os.fstat(descriptor)
        real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if not stat.S_ISREG(status.st_mode) or not real.is_relative_to(self._root):
            os.close(descriptor)
            raise SourceNotFound("no such file")
        return os.fdopen(descriptor, "rb"), status


def _content_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _etag(status: os.stat_result) -> str:
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def _modified(status: os.stat_result) -> str:
    return formatdate(status.st_mtime, usegmt=True)
