"""Content encodings of origins that use one although the request asks for none."""

from __future__ import annotations

import zlib
from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse

from imgforge.errors import ImgforgeError, OriginFailed, SourceTooLarge

__all__ = ["inflated", "is_unreadable"]

_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS  # zlib finds out which of the two it is
# A body may unpack to at most so many times its size, beyond its first bytes. zlib packs zeros to a thousandth, and
# unpacking many of those would block the reactor.
_MOST_RATIO = 100
_ANY_RATIO = 8 * 1024 * 1024  # bytes that may have any ratio
_MOST_AT_ONCE = 16 * 1024 * 1024  # bytes that one read may unpack to: the reactor is blocked meanwhile

_HEADER = b"content-encoding"
_INFLATABLE = frozenset({"gzip", "x-gzip", "deflate"})
_NO_BODY = frozenset({204, 304})
_UNREADABLE = b"unreadable"  # in place of encodings, of which treq would undo those that it knows, without bounds


class _Inflater:
    """Unpacks a gzip or zlib body, with a limit on the bytes that each step unpacks to."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._packed = self._unpacked = 0  # bytes so far

    def unpack(self, data: bytes) -> bytes:
        """The unpacked *data*; `SourceTooLarge` for a bomb, `OriginFailed` if damaged."""
        if self._zlib.eof:
            raise OriginFailed("the origin sends more after the end of its compressed body")
        self._packed += len(data)
        limit = min(_MOST_AT_ONCE, max(_ANY_RATIO, _MOST_RATIO * self._packed) - self._unpacked)
        try:
            unpacked = self._zlib.decompress(data, limit + 1)
        except zlib.error:
            raise OriginFailed("the origin's compressed body is damaged") from None
        if len(unpacked) > limit:
            raise SourceTooLarge("the source unpacks to too many bytes")
        self._unpacked += len(unpacked)
        if self._zlib.unused_data:
            raise OriginFailed("the origin sends more after the end of its compressed body")
        return unpacked

    def finish(self) -> None:
        """End the body; `OriginFailed` if the packed data has not ended."""
        if not self._zlib.eof:
            raise OriginFailed("the origin broke off before the end")


class _InflatingProtocol(Protocol):
    """Between a response and the protocol that reads its body, which ends with an `ImgforgeError` if damaged."""

    def __init__(self, reader: IProtocol) -> None:
        self._reader = reader
        self._inflater = _Inflater()
        self._ended = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._reader.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            unpacked = self._inflater.unpack(data)
        except ImgforgeError as error:
            transport: Any = self.transport
            transport.loseConnection()
            self._end(Failure(error))
        else:
            if unpacked:
                self._reader.dataReceived(unpacked)

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008  # twisted's signature
        if reason.check(ResponseDone, PotentialDataLoss):
            try:
                self._inflater.finish()
            except ImgforgeError as error:
                reason = Failure(error)
        self._end(reason)

    def _end(self, reason: Failure) -> None:
        if not self._ended:
            self._ended = True
            self._reader.connectionLost(reason)


class _InflatedResponse(proxyForInterface(IResponse)):  # type: ignore[misc]
    """A response with a compressed body, which it delivers unpacked."""

    length = UNKNOWN_LENGTH

    def deliverBody(self, protocol: IProtocol) -> None:
        """See `IResponse`."""
        self.original.deliverBody(_InflatingProtocol(protocol))


def inflated(response: IResponse) -> IResponse:
    """*response* with its body unpacked and without a Content-Encoding, or `is_unreadable`."""
    values = response.headers.getRawHeaders(_HEADER)
    if values is None:
        return response
    response.headers.removeHeader(_HEADER)
    encoding = b",".join(values).decode("latin-1").strip().lower()
    if encoding in {"", "identity"} or response.code in _NO_BODY:
        return response
    if encoding not in _INFLATABLE or response.code == 206:  # a part of a compressed body begins anywhere
        response.headers.setRawHeaders(_HEADER, [_UNREADABLE])
        return response
    unpacked: IResponse = _InflatedResponse(response)
    return unpacked


def is_unreadable(response: IResponse) -> bool:
    """Whether the body of a response that went through `inflated` has an encoding that cannot be undone."""
    return _UNREADABLE in (response.headers.getRawHeaders(_HEADER) or ())
