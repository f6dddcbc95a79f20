"""`local:///path`: files below one directory.

Every spelling of a path ends at the same check: the file is opened first, and the name that the kernel then gives for
the open file must lie below the root. A symbolic link, a `..` or a rename in between cannot lead out.
"""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IConsumer, IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.protocols.basic import FileSender
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from imgforge.errors import SourceNotFound, SourceTooLarge
from imgforge.interfaces import ISource
from imgforge.model import SourceHead, SourceImage

__all__ = ["LocalSource"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z", re.ASCII)


@implementer(ISource)
class LocalSource:
    """Regular files below *root*, read on *pool*."""

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool, root: str) -> None:
        self._reactor = reactor
        self._pool = pool
        self._root = Path(root).resolve()

    def fetch(self, url: str, limit: int | None, headers: Mapping[str, str]) -> Deferred[SourceImage]:  # noqa: ARG002
        """See `ISource`; the validators are made of the file's time and size."""

        def read() -> SourceImage:
            file, status = self._open(url)
            with file:
                if limit is not None and status.st_size > limit:
                    raise SourceTooLarge(f"the source has {status.st_size} bytes, more than {limit}")
                # One byte more than it should have: a file that grows meanwhile is not let past the limit.
                body = file.read(status.st_size + 1)
                if len(body) != status.st_size:
                    raise SourceNotFound("the source changed while it was read")
                return SourceImage(body, _content_type(url), _etag(status), _modified(status))

        return deferToThreadPool(self._reactor, self._pool, read)

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; answers a single byte range."""
        return ensureDeferred(self._stream(url, headers.get("range", ""), started))

    async def _stream(self, url: str, wanted: str, started: Callable[[SourceHead], IConsumer]) -> None:
        file, status = await deferToThreadPool(self._reactor, self._pool, self._open, url)
        with file:
            head = {
                "content-type": _content_type(url),
                "etag": f'"{_etag(status)}"',
                "last-modified": _modified(status),
                "accept-ranges": "bytes",
            }
            size = status.st_size
            part = _part(wanted, size)
            if part is None:
                consumer = started(SourceHead(200, head, size))
                part = 0, size
            else:
                head["content-range"] = f"bytes {part[0]}-{part[1] - 1}/{size}"
                consumer = started(SourceHead(206, head, part[1] - part[0]))
            file.seek(part[0])
            await FileSender().beginFileTransfer(_Bounded(file, part[1] - part[0]), consumer)

    def _open(self, url: str) -> tuple[BinaryIO, os.stat_result]:
        path = unquote(url.partition("://")[2].partition("?")[0])
        if "\0" in path:
            raise SourceNotFound("no such file")
        try:
            # Non-blocking, so that a named pipe does not hold the thread.
            descriptor = os.open(f"{self._root}/{path.lstrip('/')}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            raise SourceNotFound("no such file") from None
        status = os.fstat(descriptor)
        real = Path(f"/proc/self/fd/{descriptor}").resolve()
        if not stat.S_ISREG(status.st_mode) or not real.is_relative_to(self._root):
            os.close(descriptor)
            raise SourceNotFound("no such file")
        return os.fdopen(descriptor, "rb", buffering=0), status


class _Bounded:
    """The next *left* bytes of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """Start and end of the single range that is asked for; None where there is none that can be met."""
    match = _RANGE.match(wanted)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    return (start, end) if start < end else None


def _content_type(url: str) -> str:
    return mimetypes.guess_type(url.partition("?")[0])[0] or "application/octet-stream"


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _modified(status: os.stat_result) -> str:
    return formatdate(status.st_mtime, usegmt=True)
