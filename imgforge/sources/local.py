"""`local:///path`: files below one directory.

Every spelling of a path ends at the same check: the file is opened first, and the name that the kernel then gives for
the open file must lie below the root. A symbolic link, a `..` or a rename in between cannot lead out.
"""

from __future__ import annotations

import errno
import mimetypes
import os
import stat
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from imgforge.concurrency import FileThreads, IDiskReactor, Stalled
from imgforge.errors import OriginFailed, OriginTimeout, SourceNotFound, SourceTooLarge
from imgforge.interfaces import ISource, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage, Unsatisfiable, byte_range
from imgforge.sources.bounded_file import OpenFile, read_at
from imgforge.sources.thread_producer import ThreadProducer

__all__ = ["LocalSource"]

T = TypeVar("T")

# As many files as a process reads at once.
_THREADS = 16
_DRAIN = 1.0
# What says nothing of whether there is such a file.
_FAULTS = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
# Bytes in which a format shows itself.
_BEGINNING = 4096


@implementer(ISource)
class LocalSource:
    """Regular files below *root*; what follows *query_separator* in a URL is no part of the name.

    Each access may take *timeout* seconds. *media_type_of* tells the media type of a file whose name does not, by its
    first bytes.
    """

    def __init__(
        self,
        reactor: IDiskReactor,
        root: str,
        *,
        timeout: float,
        query_separator: str,
        media_type_of: Callable[[bytes], str],
    ) -> None:
        self._root = Path(root).resolve()
        self._timeout = timeout
        self._query_separator = query_separator
        self._media_type_of = media_type_of
        # Threads of its own: a mount that hangs holds up nothing but files.
        self._threads = FileThreads(reactor, _THREADS, timeout, "imgforge-files")
        self._threads.start()

    async def close(self) -> None:
        """End the threads."""
        await self._threads.stop(_DRAIN)

    def fetch(
        self,
        url: str,
        limit: int | None,
        headers: Mapping[str, str],
        room: Reserve = unlimited_reserve,
    ) -> Deferred[SourceImage]:
        """See `ISource`; the validators are made of the file's time and size."""
        return ensureDeferred(self._fetch(self._name(url), limit, headers.get("if-none-match", ""), room))

    async def _fetch(self, name: str, limit: int | None, known: str, room: Reserve) -> SourceImage:
        file = await self._opened(name)
        try:
            etag, modified, size = _etag(file.status), _modified(file.status), file.status.st_size
            if known == etag:
                return SourceImage(b"", file.content_type, known, modified, not_modified=True)
            if limit is not None and size > limit:
                raise SourceTooLarge(f"the source has {size} bytes, more than {limit}")
            await room(size)
            # One byte more than it should have: a file that grows meanwhile is not let past the limit.
            body = await self._answered(file.read(0, size + 1))
        finally:
            file.close()
        if len(body) != size:
            raise OriginFailed("the source changed while it was read")
        return SourceImage(body, file.content_type, etag, modified)

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; answers a single byte range."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        file = await self._opened(self._name(url))
        try:
            head = {
                "content-type": file.content_type,
                "etag": _etag(file.status),
                "last-modified": _modified(file.status),
                "accept-ranges": "bytes",
            }
            size = file.status.st_size
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
            await self._answered(ensureDeferred(ThreadProducer(file.read, consumer).run(start, end)))
        finally:
            file.close()

    async def _opened(self, name: str) -> OpenFile:
        return await self._answered(self._threads.run_with_timeout(lambda: self._open(name), discard=OpenFile.close))

    async def _answered(self, work: Deferred[T]) -> T:
        """The outcome of *work* with files; how their medium fails is how any origin does."""
        try:
            return await work
        except Stalled:
            raise OriginTimeout(f"the file system did not answer within {self._timeout:g} seconds") from None
        except OSError:
            raise OriginFailed("the source cannot be read") from None

    def _name(self, url: str) -> str:
        path = url.partition("://")[2]
        return path.partition(self._query_separator)[0] if self._query_separator else path

    def _open(self, name: str) -> OpenFile:
        """The file of that *name*, or where there is none and it has percent-escapes the one that they stand for."""
        # Non-blocking, so that a named pipe does not hold the thread.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        for spelling in dict.fromkeys((name, unquote(name))):
            try:
                descriptor = os.open(f"{self._root}/{spelling.lstrip('/')}", flags)
                break
            except ValueError:  # NUL, or what no file name can hold
                continue
            except OSError as error:
                if error.errno in _FAULTS:
                    raise
        else:
            if not self._root.is_dir():  # the operator's log names the setting; a mount that is gone is no missing file
                raise OriginFailed("the directory of local files (IMGFORGE_LOCAL_FILESYSTEM_ROOT) is not there")
            raise SourceNotFound("no such file")
        try:
            status = os.fstat(descriptor)
            real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if not stat.S_ISREG(status.st_mode) or not real.is_relative_to(self._root):
                raise SourceNotFound("no such file")
            return OpenFile(self._threads, descriptor, status, self._content_type(name, descriptor))
        except BaseException:
            os.close(descriptor)
            raise

    def _content_type(self, name: str, descriptor: int) -> str:
        named = mimetypes.guess_type(name)[0]
        return named or self._media_type_of(read_at(descriptor, 0, _BEGINNING)) or "application/octet-stream"


def _etag(status: os.stat_result) -> str:
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def _modified(status: os.stat_result) -> str:
    return formatdate(status.st_mtime, usegmt=True)
