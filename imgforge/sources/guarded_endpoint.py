"""Endpoints that connect to the addresses that the policy allows, and to no others.

The policy is applied between the look-up and the connection, to the very addresses that are connected to.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.errors import SourceRefused
from imgforge.interfaces import IServerReactor
from imgforge.observability import keeping_request_id
from imgforge.sources.address_policy import AddressPolicy, address_class

__all__ = ["GuardedEndpoint", "check_literal_address"]


@dataclass(slots=True)
class _Decisions:
    """The decisions about the addresses of one look-up."""

    resolution: IHostResolution | None = None  # under way

    allowed: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)  # class and address


@implementer(IResolutionReceiver)
class _Filter:
    """Passes on the addresses that the policy allows, and records each decision."""

    def __init__(self, receiver: IResolutionReceiver, policy: AddressPolicy, decisions: _Decisions) -> None:
        self._receiver = receiver
        self._policy = policy
        self._decisions = decisions

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._decisions.resolution = resolutionInProgress
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        text: str = address.host  # type: ignore[attr-defined]
        kind = address_class(text)
        if self._policy.allows(kind):
            self._decisions.allowed += 1
            self._receiver.addressResolved(address)
        else:
            self._decisions.refused.append((kind, text))

    def resolutionComplete(self) -> None:
        self._decisions.resolution = None
        self._receiver.resolutionComplete()


@implementer(IHostnameResolver)
class _GuardedResolver:
    def __init__(self, resolver: IHostnameResolver, policy: AddressPolicy, decisions: _Decisions) -> None:
        self._resolver = resolver
        self._policy = policy
        self._decisions = decisions

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        receiver = _Filter(resolutionReceiver, self._policy, self._decisions)
        return self._resolver.resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)


@implementer(IReactorPluggableNameResolver, IReactorTCP, IReactorTime)
class _GuardedReactor:
    """The reactor with a resolver that returns allowed addresses only; HostnameEndpoint connects to those."""

    def __init__(self, reactor: IServerReactor, policy: AddressPolicy, decisions: _Decisions) -> None:
        self._reactor = reactor
        self.nameResolver = _GuardedResolver(reactor.nameResolver, policy, decisions)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        raise NotImplementedError("the resolver of the address policy cannot be replaced")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


@implementer(IStreamClientEndpoint)
class GuardedEndpoint:
    """Connects to a host by name or address, trying only the addresses that *policy* allows.

    Fails with `SourceRefused` where it allows none. The message names the class but not the address, with which a
    client could map an internal network; the log has both.
    """

    log = Logger()

    def __init__(self, reactor: IServerReactor, host: str, port: int, policy: AddressPolicy, timeout: float) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._policy = policy
        self._timeout = timeout

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Connect; see `IStreamClientEndpoint`."""
        decisions = _Decisions()
        guarded: Any = _GuardedReactor(self._reactor, self._policy, decisions)
        endpoint = HostnameEndpoint(guarded, self._host, self._port, timeout=self._timeout)
        connecting = endpoint.connect(protocolFactory).addBoth(_give_up, decisions)
        return connecting.addErrback(keeping_request_id(self._explain), decisions)

    def _explain(self, failure: Failure, decisions: _Decisions) -> Failure:
        if decisions.allowed or not decisions.refused:
            return failure
        raise _refusal(self._host, *decisions.refused[0])


def _give_up(outcome: Any, decisions: _Decisions) -> Any:
    """End a look-up that is still under way: `HostnameEndpoint` leaves it to itself when it is cancelled."""
    if decisions.resolution is not None:
        with suppress(NotImplementedError):  # Twisted's own resolver has nothing to cancel
            decisions.resolution.cancel()
    return outcome


def check_literal_address(host: str, address: str | None, policy: AddressPolicy) -> None:
    """Check a *host* that somebody else will look up: `SourceRefused` where it is an *address* that is not allowed."""
    kind = "public" if address is None else address_class(address)
    if not policy.allows(kind):
        raise _refusal(host, kind, address or "")


def _refusal(host: str, kind: str, address: str) -> SourceRefused:
    setting = f"IMGFORGE_ALLOW_{kind.upper().replace('-', '_')}_SOURCE_ADDRESSES"
    GuardedEndpoint.log.info(
        "refused to connect to {host}: {address} is a {kind} address ({setting})",
        host=host,
        address=address,
        kind=kind,
        setting=setting,
    )
    return SourceRefused(f"the source's address is {kind}, which this server refuses ({setting})")
