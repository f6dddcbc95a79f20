"""`local:///path`: files below one directory.

Every spelling of a path ends at the same check: the path is held first (O_PATH), which opens nothing, and the name that
the kernel then reports for it must lie below the root and be a regular file's. What is held is what is opened then: no
symbolic link, no `..` and no rename in between leads out of the root, and no pipe, device or file outside is opened. A
path whose own `..` lead above the root is not even looked at: a mount outside may hang.
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

from imgforge.concurrency import FileThreads, Stalled
from imgforge.errors import OriginFailed, OriginTimeout, SourceNotFound, SourceTooLarge
from imgforge.interfaces import IServerReactor, ISource, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage, head_of_part
from imgforge.sources.bounded_file import OpenFile, read_at
from imgforge.sources.climbing_path import climbs_out
from imgforge.sources.thread_producer import ThreadProducer

__all__ = ["LocalSource"]

T = TypeVar("T")

_THREADS = 16  # the files that a process reads at once
# Bytes of a file that is read at once by the thread that opens it: fewer than a fetcher reserves for any original.
_READ_AT_ONCE = 256 << 10
_CLOSE_TIMEOUT = 1.0  # seconds that `close` waits for the threads
# Errors of the medium or the process, which do not say whether the file exists.
_FAULTS = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_SIGNATURE_BYTES = 4096  # at the start of a file, which show its format


@implementer(ISource)
class LocalSource:
    """Serves regular files below *root*; the part of a URL from *query_separator* on does not belong to the name.

    Each access may take *timeout* seconds. *media_type_of* returns the media type of a file by its first bytes, for
    names without a known suffix.
    """

    def __init__(
        self,
        reactor: IServerReactor,
        root: str,
        *,
        timeout: float,
        query_separator: str,
        media_type_of: Callable[[bytes], str],
    ) -> None:
        self._root = Path(root).resolve()
        self._below_root = f"{str(self._root).rstrip('/')}/"
        self._timeout = timeout
        self._query_separator = query_separator
        self._media_type_of = media_type_of
        # Threads of its own: a mount that hangs blocks local files only.
        self._threads = FileThreads(reactor, _THREADS, timeout, "imgforge-files")
        self._threads.start()

    def close(self) -> Deferred[None]:
        """End the threads; a thread that a dead mount blocks is left behind after a second."""
        return ensureDeferred(self._threads.stop(_CLOSE_TIMEOUT))

    def fetch(
        self,
        url: str,
        limit: int | None,
        headers: Mapping[str, str],
        reserve: Reserve = unlimited_reserve,
    ) -> Deferred[SourceImage]:
        """See `ISource`; the validators come from the file's modification time and size."""
        return ensureDeferred(self._fetch(self._name(url), limit, headers.get("if-none-match", ""), reserve))

    async def _fetch(self, name: str, limit: int | None, if_none_match: str, reserve: Reserve) -> SourceImage:
        at_once = _READ_AT_ONCE if limit is None else min(limit, _READ_AT_ONCE)
        file = await self._opened(name, lambda status: status.st_size <= at_once and _etag(status) != if_none_match)
        try:
            etag, modified, size = _etag(file.status), _modified(file.status), file.status.st_size
            if if_none_match == etag:
                return SourceImage(b"", file.content_type, etag, modified, not_modified=True)
            if limit is not None and size > limit:
                raise SourceTooLarge(f"the source has {size} bytes, more than {limit}")
            await reserve(size)
            # One byte more than its size: a file that grows meanwhile does not pass the limit.
            body = file.body if file.body is not None else await self._answered(file.read(0, size + 1))
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
            unchanged = headers.get("if-range", head["etag"]) in {head["etag"], head["last-modified"]}
            answer, part = head_of_part(headers.get("range", "") if unchanged else "", file.status.st_size, head)
            consumer = started(answer)
            if answer.status != 416:
                await self._answered(ensureDeferred(ThreadProducer(file.read, consumer).run(part.start, part.stop)))
        finally:
            file.close()

    async def _opened(
        self, name: str, read_at_once: Callable[[os.stat_result], bool] = lambda _status: False
    ) -> OpenFile:
        """The file *name*; where *read_at_once* says so it is closed again, and has its `body`."""

        def open_file() -> OpenFile:
            file = self._open(name)
            if read_at_once(file.status):
                file.read_whole()
            return file

        return await self._answered(self._threads.run_with_timeout(open_file, discard=OpenFile.close))

    async def _answered(self, work: Deferred[T]) -> T:
        """The outcome of *work* with files; failures of the medium become those of an origin."""
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
        """Open the file *name*, or where there is none, the file of the percent-decoded name. On a thread."""
        for spelling in dict.fromkeys((name, unquote(name))):
            if climbs_out(spelling):
                continue
            try:
                descriptor = self._open_spelling(spelling)
                break
            except ValueError:  # NUL, or a character that no file name can hold
                continue
            except OSError as error:
                if error.errno in _FAULTS:
                    raise
        else:
            if not self._root.is_dir():  # a mount that is gone is not a missing file; the log names the setting
                raise OriginFailed("the directory of local files (IMGFORGE_LOCAL_FILESYSTEM_ROOT) is not there")
            raise SourceNotFound("no such file")
        try:
            content_type = self._content_type(name, descriptor)
            return OpenFile(self._threads, descriptor, os.fstat(descriptor), content_type)
        except BaseException:
            os.close(descriptor)
            raise

    def _open_spelling(self, path: str) -> int:
        """A descriptor of the regular file *path* below the root; `SourceNotFound` for anything else, OSError."""
        held = os.open(f"{self._root}/{path.lstrip('/')}", os.O_PATH | os.O_CLOEXEC)
        try:
            link = f"/proc/self/fd/{held}"
            if not stat.S_ISREG(os.fstat(held).st_mode) or not os.readlink(link).startswith(self._below_root):
                raise SourceNotFound("no such file")
            return os.open(link, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(held)

    def _content_type(self, name: str, descriptor: int) -> str:
        by_name = mimetypes.guess_type(name)[0]
        return by_name or self._media_type_of(read_at(descriptor, 0, _SIGNATURE_BYTES)) or "application/octet-stream"


def _etag(status: os.stat_result) -> str:
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def _modified(status: os.stat_result) -> str:
    return formatdate(status.st_mtime, usegmt=True)
