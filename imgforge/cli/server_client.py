"""Sends requests to a running server by treq: one in a reactor of its own, or many over connections that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, FileBodyProducer, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from imgforge.cli.server_connection import ServerAddress, ServerAnswer, ServerRequest, ServerUnreachable

__all__ = ["ServerClient", "endpoint_of", "exchange", "reason"]

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
        body: str | None = None,
    ) -> IResponse:
        """Returns the response after *take* has got its body, in pieces."""
        client = treq.client.HTTPClient(_ExactAgent(self._agent, self._base + path))
        response = await client.request(
            method,
            "http://server/",
            headers=Headers({"Host": [self._host], **{name: [value] for name, value in headers.items()}}),
            data=None if body is None else _producer(self._reactor, body),
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


def exchange(address: ServerAddress, request: ServerRequest) -> ServerAnswer:
    """Returns the response; raises `ServerUnreachable`."""
    reactor: Any = SelectReactor()  # one of its own, which can run although another one has
    outcome: list[ServerAnswer | Failure] = []

    def end(result: ServerAnswer | Failure) -> None:
        outcome.append(result)
        reactor.stop()

    def begin() -> None:
        sending = Deferred.fromCoroutine(_send(reactor, address, request))
        sending.addTimeout(request.timeout, reactor).addBoth(end)

    reactor.callWhenRunning(begin)
    reactor.run()
    if not outcome:
        raise KeyboardInterrupt
    if isinstance(outcome[0], Failure):
        raise ServerUnreachable(f"no answer: {reason(outcome[0])}")
    return outcome[0]


async def _send(reactor: Any, address: ServerAddress, request: ServerRequest) -> ServerAnswer:
    text = bytearray()
    response = await ServerClient(reactor, address).request(
        request.method,
        request.path.encode("ascii"),
        request.headers,
        lambda data: text.extend(data[: max(0, request.longest - len(text))]),
        request.body,
    )
    headers = {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in response.headers.getAllRawHeaders()
    }
    return ServerAnswer(response.code, text.decode("utf-8", "replace").strip(), headers)


def _producer(reactor: Any, body: str) -> FileBodyProducer:
    """*body*, paced by *reactor*: the producer that treq makes is paced by the global one, which does not run."""
    return FileBodyProducer(BytesIO(body.encode()), Cooperator(scheduler=lambda step: reactor.callLater(0, step)))


def reason(failure: Failure) -> str:
    """Why there is no response: one line."""
    error = failure.value
    inner = next((reason.value for reason in getattr(error, "reasons", ())), error)
    if isinstance(inner, (CancelledError, TimeoutError, TookTooLong)):
        return "it takes too long"
    if isinstance(inner, ConnectError) and inner.osError is not None:
        return str(inner).partition(": ")[2] or str(inner)
    return " ".join(str(inner).split()) or type(inner).__name__
