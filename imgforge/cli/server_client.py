"""Sends one request to a running server, by treq in a reactor that runs until its response is there."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, FileBodyProducer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from imgforge.cli.server_connection import ServerAddress, ServerRequest, ServerUnreachable

__all__ = ["exchange"]

_MOST_READ = 1000  # bytes of a response


@implementer(IAgentEndpointFactory)
class _Endpoint:
    """Connects to *address*, whatever the URL."""

    def __init__(self, reactor: Any, address: ServerAddress) -> None:
        self._reactor = reactor
        self._address = address

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002
        address, reactor = self._address, self._reactor
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


def exchange(address: ServerAddress, request: ServerRequest) -> tuple[int, str]:
    """Returns the status and the text of the response; raises `ServerUnreachable`."""
    reactor: Any = SelectReactor()  # one of its own, which can run although another one has
    outcome: list[tuple[int, str] | Failure] = []

    def end(result: tuple[int, str] | Failure) -> None:
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
        raise ServerUnreachable(f"no answer: {_reason(outcome[0])}")
    return outcome[0]


async def _send(reactor: Any, address: ServerAddress, request: ServerRequest) -> tuple[int, str]:
    url = f"{address.scheme}://{address.authority}{request.path}".encode("ascii")
    agent = _ExactAgent(Agent.usingEndpointFactory(reactor, _Endpoint(reactor, address)), url)
    client = treq.client.HTTPClient(agent)
    response = await client.request(
        request.method,
        "http://server/",
        headers=Headers({name: [value] for name, value in request.headers.items()}),
        data=None if request.body is None else _producer(reactor, request.body),
        allow_redirects=False,
        unbuffered=True,
        reactor=reactor,
    )
    text = bytearray()
    await treq.collect(response, lambda data: text.extend(data[: _MOST_READ - len(text)]))
    return response.code, text.decode("utf-8", "replace").strip()


def _producer(reactor: Any, body: str) -> FileBodyProducer:
    """*body*, paced by *reactor*: the producer that treq makes is paced by the global one, which does not run."""
    return FileBodyProducer(BytesIO(body.encode()), Cooperator(scheduler=lambda step: reactor.callLater(0, step)))


def _reason(failure: Failure) -> str:
    error = failure.value
    inner = next((reason.value for reason in getattr(error, "reasons", ())), error)
    if isinstance(inner, (CancelledError, TimeoutError)):
        return "it takes too long"
    if isinstance(inner, ConnectError) and inner.osError is not None:
        return str(inner).partition(": ")[2] or str(inner)
    return " ".join(str(inner).split()) or type(inner).__name__
