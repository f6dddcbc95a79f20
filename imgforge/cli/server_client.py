"""Sends many requests to a running server, over connections that are kept; what it answers is bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IResponse

from imgforge.cli.server_connection import ServerAddress
from imgforge.sources import Http1Connection, NotSent, TlsEndpoint

__all__ = ["ServerClient", "endpoint_of", "reason"]


def endpoint_of(reactor: Any, address: ServerAddress) -> IStreamClientEndpoint:
    """Connects to *address*, by TLS if it is an https one."""
    if address.path:
        return UNIXClientEndpoint(reactor, address.path)
    endpoint = HostnameEndpoint(reactor, address.host, address.port)
    if address.scheme == "http":
        return endpoint
    creator: Any = optionsForClientTLS(address.host) if address.verified else CertificateOptions(verify=False)
    return TlsEndpoint(reactor, creator, endpoint)


class _Body(Protocol):
    """Passes a body to *take*; cancelling `whole` closes the connection."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self.whole: Deferred[None] = Deferred(self._give_up)

    def _give_up(self, _: Deferred[None]) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        self._take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`."""
        if self.whole.called:
            return
        if reason.check(ResponseDone):
            self.whole.callback(None)
        else:
            self.whole.errback(reason)


class ServerClient:
    """Sends requests to the server at *address*, with paths exactly as they are given.

    *connections* of them are kept between requests. They are those of origins, which bound the head of a response.
    """

    def __init__(self, reactor: Any, address: ServerAddress, connections: int = 0) -> None:
        self._endpoint = endpoint_of(reactor, address)
        self._authority = address.authority
        self._connections = connections
        self._idle: list[Http1Connection] = []

    async def request(
        self,
        method: str,
        path: bytes,
        headers: Mapping[str, str],
        take: Callable[[bytes], object],
    ) -> IResponse:
        """Returns the response after *take* has got its body, in pieces."""
        while self._idle:
            try:
                return await self._ask(self._idle.pop(), method, path, headers, take)
            except NotSent:  # the server has closed the connection meanwhile
                continue
        fresh: Http1Connection = await connectProtocol(self._endpoint, Http1Connection())
        return await self._ask(fresh, method, path, headers, take)

    async def _ask(
        self,
        connection: Http1Connection,
        method: str,
        path: bytes,
        headers: Mapping[str, str],
        take: Callable[[bytes], object],
    ) -> IResponse:
        sent = {"Host": self._authority, **headers}
        host = sent.pop("Host").encode("ascii")
        fields = [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]
        response = await connection.send(host, path, fields, method=method.encode("ascii"))
        receiver = _Body(take)
        response.deliverBody(receiver)
        await receiver.whole
        if len(self._idle) < self._connections:
            self._idle.append(connection)
        else:
            _hang_up(connection)
        return response

    def close(self) -> None:
        """Closes the connections that are kept."""
        while self._idle:
            _hang_up(self._idle.pop())


def _hang_up(connection: Http1Connection) -> None:
    """Closes an idle connection in order: the abrupt end that origins get is an error in a server's log."""
    transport: Any = connection.transport
    transport.loseConnection()


def reason(failure: Failure) -> str:
    """Why there is no response: one line."""
    error = failure.value
    inner = next((reason.value for reason in getattr(error, "reasons", ())), error)
    if isinstance(inner, (CancelledError, TimeoutError, TookTooLong)):
        return "it takes too long"
    if isinstance(inner, ConnectError) and inner.osError is not None:
        return str(inner.args[0]) if inner.args else str(inner)  # str() would put two more texts before it
    return " ".join(str(inner).split()) or type(inner).__name__
