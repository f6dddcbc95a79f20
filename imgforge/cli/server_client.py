"""Sends many requests to a running server by treq, over connections that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from imgforge.cli.server_connection import ServerAddress

__all__ = ["ServerClient", "endpoint_of", "reason"]

# Of an http URL Agent takes a semicolon at the end for empty parameters, and drops it. The endpoint knows the scheme.
_EXACT_SCHEME = "exact"


@implementer(IAgentEndpointFactory)
class _Endpoint:
    """Connects to *address*, whatever the URL."""

    def __init__(self, reactor: Any, address: ServerAddress) -> None:
        self._reactor = reactor
        self._address = address

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002
        return endpoint_of(self._reactor, self._address)


def endpoint_of(reactor: Any, address: ServerAddress) -> IStreamClientEndpoint:
    """Connects to *address*, by TLS if it is an https one."""
    if address.path:
        return UNIXClientEndpoint(reactor, address.path)
    endpoint = HostnameEndpoint(reactor, address.host, address.port)
    if address.scheme == "http":
        return endpoint
    creator: Any = optionsForClientTLS(address.host) if address.verified else CertificateOptions(verify=False)
    return wrapClientTLS(creator, endpoint)


@implementer(IAgent)
class _ExactAgent:
    """Sends *url*, whatever treq has made of it."""

    def __init__(self, agent: Agent, url: bytes) -> None:
        self._agent = agent
        self._url = url

    def request(
        self,
        method: bytes,
        uri: bytes,  # noqa: ARG002
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """See `IAgent`."""
        answering: Deferred[IResponse] = self._agent.request(method, self._url, headers, bodyProducer)
        return answering


class _Body(Protocol):
    """Passes a body to *take*; cancelling `whole` closes the connection, which that of `treq.collect` leaves open."""

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
        """See `Protocol`; a body without a length ends with its connection."""
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(None)
        else:
            self.whole.errback(reason)


class ServerClient:
    """Sends requests to the server at *address*, with paths exactly as they are given.

    *connections* of them are kept between requests.
    """

    def __init__(self, reactor: Any, address: ServerAddress, connections: int = 0) -> None:
        self._reactor = reactor
        self._base = f"{_EXACT_SCHEME}://{address.authority}".encode("ascii")
        self._host = address.authority
        self._pool = HTTPConnectionPool(reactor, persistent=connections > 0)
        self._pool.maxPersistentPerHost = connections
        self._agent = Agent.usingEndpointFactory(reactor, _Endpoint(reactor, address), self._pool)

    async def request(
        self,
        method: str,
        path: bytes,
        headers: Mapping[str, str],
        take: Callable[[bytes], object],
    ) -> IResponse:
        """Returns the response after *take* has got its body, in pieces."""
        client = treq.client.HTTPClient(_ExactAgent(self._agent, self._base + path))
        response = await client.request(
            method,
            "http://server/",
            headers=Headers({"Host": [self._host], **{name: [value] for name, value in headers.items()}}),
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        receiver = _Body(take)
        response.deliverBody(receiver)
        await receiver.whole
        return response

    def close(self) -> Deferred[None]:
        """Closes the connections that are kept."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing


def reason(failure: Failure) -> str:
    """Why there is no response: one line."""
    error = failure.value
    inner = next((reason.value for reason in getattr(error, "reasons", ())), error)
    if isinstance(inner, (CancelledError, TimeoutError, TookTooLong)):
        return "it takes too long"
    if isinstance(inner, ConnectError) and inner.osError is not None:
        return str(inner).partition(": ")[2] or str(inner)
    return " ".join(str(inner).split()) or type(inner).__name__
