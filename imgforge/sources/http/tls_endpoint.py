"""Opens TLS connections in any reactor.

Twisted collects small writes until the next round of a reactor. `wrapClientTLS` takes the one that is installed (older
releases cannot be told another), which does not run where a command has a reactor of its own: nothing would be sent.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

__all__ = ["TlsEndpoint"]


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """Connects by *endpoint*, in the reactor *clock*, and begins TLS as *creator* says."""

    def __init__(self, clock: IReactorTime, creator: Any, endpoint: IStreamClientEndpoint) -> None:
        self._clock = clock
        self._creator = creator
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        wrapped: Any = TLSMemoryBIOFactory(self._creator, True, protocolFactory, clock=self._clock)
        connecting: Deferred[Any] = self._endpoint.connect(wrapped)
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)
