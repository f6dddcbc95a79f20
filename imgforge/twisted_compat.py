"""Every private name of Twisted that imgforge uses, but for those of HTTP servers (`imgforge.twisted_compat_http`).

A private name may change with any release of Twisted, so each has a row in `RELIED_ON`: what it is for, and which
public hook would replace it. The rest of the package uses the classes of this module. tests/test_twisted_compat.py
shows that the names exist and behave; .ci/run runs it with the oldest and the newest Twisted that imgforge supports.

The epoll group uses public names only, some of which have no documentation. They have rows too: where one is missing
the group is off, and the reactor reads from all connections itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet import _resolver, abstract, tcp, unix
from twisted.internet._resolver import GAIResolver
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.web import _newclient
from twisted.web._newclient import HTTP11ClientProtocol, HTTPClientParser, ParseError, RequestNotSent
from twisted.web.client import HTTPConnectionPool
from twisted.web.iweb import IResponse

__all__ = [
    "EPOLL_GROUP",
    "RELIED_ON",
    "GAIResolver",
    "HTTPClientParser",
    "OriginConnectionPool",
    "OriginProtocol",
    "ParseError",
    "ReliedOn",
    "RequestNotSent",
    "missing_names",
]

EPOLL_GROUP, ORIGINS, HOST_NAMES = "epoll group", "origins", "host names"


@dataclass(frozen=True, slots=True)
class ReliedOn:
    """A name of Twisted that a later release may take away."""

    part: str  # the part of imgforge that uses it
    owner: Any  # the class or module that has it
    name: str
    why: str
    public_hook: str  # what would replace it

    def __str__(self) -> str:
        module = getattr(self.owner, "__module__", "")
        return f"{module}.{self.owner.__name__}.{self.name}" if module else f"{self.owner.__name__}.{self.name}"


RELIED_ON = (
    ReliedOn(
        HOST_NAMES,
        _resolver,
        "GAIResolver",
        "Looks host names up by getaddrinfo on a thread pool of ours: the reactor's own resolver shares the reactor's "
        "pool, where ten silent name servers would stop all work with files.",
        "IReactorPluggableNameResolver with a choice of the thread pool, or GAIResolver under a public name.",
    ),
    ReliedOn(
        ORIGINS,
        _newclient,
        "HTTP11ClientProtocol",
        "The client's side of an HTTP/1.1 connection, which a strict client extends.",
        "A public name for the protocol; twisted.web.client has only the pool and the agents.",
    ),
    ReliedOn(ORIGINS, _newclient, "HTTPClientParser", "The parser of a response.", "As for HTTP11ClientProtocol."),
    ReliedOn(
        ORIGINS,
        _newclient,
        "ParseError",
        "Raised where a response is malformed: the connection then ends, and the request fails.",
        "As for HTTP11ClientProtocol.",
    ),
    ReliedOn(
        ORIGINS,
        _newclient,
        "RequestNotSent",
        "The failure upon which the pool sends the request again over a new connection.",
        "As for HTTP11ClientProtocol.",
    ),
    ReliedOn(
        ORIGINS,
        HTTP11ClientProtocol,
        "_parser",
        "The parser of the current response: its head is checked, and what follows its body is seen.",
        "A callback for the complete head of a response, and one for its end with the bytes after it.",
    ),
    ReliedOn(
        ORIGINS,
        HTTPConnectionPool,
        "_factory",
        "Makes the pool's connections, which are to be `OriginProtocol`s.",
        "An argument of HTTPConnectionPool for the factory.",
    ),
    *(
        ReliedOn(
            EPOLL_GROUP,
            port,
            name,
            "Undocumented: a port opens its socket by createInternetSocket and makes a connection of each client by "
            "transport.",
            "reactor.adoptStreamPort with an argument for the transport.",
        )
        for port in (tcp.Port, unix.Port)
        for name in ("createInternetSocket", "transport")
    ),
    *(
        ReliedOn(
            EPOLL_GROUP,
            abstract.FileDescriptor,
            name,
            "Undocumented: how a connection asks its reactor for events, and how many bytes it reads at once.",
            "A reactor that reads from many ready connections in one call.",
        )
        for name in ("startReading", "stopReading", "startWriting", "stopWriting", "bufferSize")
    ),
)


def missing_names(part: str) -> tuple[str, ...]:
    """The names that *part* relies on and this Twisted does not have, with their modules."""
    return tuple(str(row) for row in RELIED_ON if row.part == part and not hasattr(row.owner, row.name))


class OriginProtocol(HTTP11ClientProtocol):
    """The client's side of a connection, with a hook for each response."""

    def request(self, request: Any) -> Deferred[IResponse]:
        """Sends *request*; see HTTP11ClientProtocol."""
        answering = super().request(request)
        parser = self._parser
        if parser is not None:
            self.response_begins(parser, request)
        return answering

    def response_begins(self, parser: HTTPClientParser, request: Any) -> None:
        """Called before any byte of the response to *request*, which *parser* will read. A subclass overrides it.

        It may replace the parser's `dataReceived`, `allHeadersReceived` and `finisher`; an exception in one of them
        ends the connection and fails the request. `request.persistent = False` closes the connection after the
        response.
        """


class _OriginFactory(Factory):
    noisy = False  # a line for each connection, with nothing in it for an operator

    def __init__(self, protocol: type[OriginProtocol], quiescent: Callable[[HTTP11ClientProtocol], None]) -> None:
        self._protocol = protocol
        self._quiescent = quiescent

    def buildProtocol(self, addr: IAddress | None) -> OriginProtocol:  # noqa: ARG002
        return self._protocol(self._quiescent)


class OriginConnectionPool(HTTPConnectionPool):
    """A pool whose connections are of the class *protocol*."""

    def __init__(self, reactor: IReactorTime, persistent: bool, protocol: type[OriginProtocol]) -> None:
        super().__init__(reactor, persistent)

        def factory(quiescent: Callable[[HTTP11ClientProtocol], None], _: str) -> Factory:
            return _OriginFactory(protocol, quiescent)

        self._factory: Any = factory
