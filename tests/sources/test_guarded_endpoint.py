"""Guarded endpoints: look-ups with mixed, changing and unusually spelled addresses."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import replace
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer, provider
from zope.interface.verify import verifyObject

from imgforge.errors import OriginFailed, SourceRefused
from imgforge.interfaces import IServerReactor
from imgforge.observability import RequestRecord, bind_request, current_request_id
from imgforge.sources import AddressPolicy, SourceRegistry
from imgforge.sources.guarded_endpoint import GuardedEndpoint
from tests.support.http_case import SETTINGS, HttpCase
from tests.support.scripted_origin import reactor, response


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@implementer(IHostnameResolver)
class FakeResolver:
    """Resolves each look-up to the next list of addresses; the last list stays."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.lookups = 0

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        self.lookups += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in answer.split():
            address_type = IPv6Address if ":" in address else IPv4Address
            resolutionReceiver.addressResolved(address_type("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IHostnameResolver)
class SilentResolver:
    """Answers no look-up."""

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        self.resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(self.resolution)
        return self.resolution


@implementer(IReactorPluggableNameResolver, IReactorTCP, IReactorTime)
class RecordingReactor:
    """The reactor with another resolver; records the addresses that are connected to."""

    def __init__(self, resolver: IHostnameResolver) -> None:
        self.nameResolver = resolver
        self.dialled: list[str] = []

    def connectTCP(self, host: str, port: int, *rest: Any, **named: Any) -> Any:
        self.dialled.append(host)
        return reactor.connectTCP(host, port, *rest, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class AddressPolicyTests(HttpCase):
    def setUp(self) -> None:
        self.canary = self.origin(response(b"secret"))
        self.url = self.canary.url(host="cdn.example")

    async def dialled(self, resolver: FakeResolver, url: str, **policy: bool) -> list[str]:
        """The addresses that a fetch of *url* connects to; fails as the fetch does."""
        self.recording = RecordingReactor(resolver)
        sources = SourceRegistry(
            cast("IServerReactor", self.recording), replace(SETTINGS, addresses=AddressPolicy(**policy))
        )
        self.addCleanup(sources.close)
        await sources.fetch(url, None, {})
        return self.recording.dialled

    def test_the_fake_is_a_resolver(self) -> None:
        self.assertTrue(verifyObject(IHostnameResolver, FakeResolver("127.0.0.1")))

    async def test_only_allowed_addresses_are_tried(self) -> None:
        resolver = FakeResolver("169.254.169.254 10.0.0.1 fd00::1 127.0.0.1")
        self.assertEqual(
            await self.dialled(resolver, self.url, allow_loopback=True, allow_private=False), ["127.0.0.1"]
        )

    async def test_a_name_without_an_allowed_address_is_not_connected_to(self) -> None:
        for answer in ("127.0.0.1 ::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254", "fe80::1%lo"):
            with self.assertRaises(SourceRefused) as caught:
                await self.dialled(FakeResolver(answer), self.url)
            self.assertEqual(self.recording.dialled, [], answer)
            self.assertNotIn(answer.split()[0], caught.exception.message)

    async def test_the_checked_address_is_the_one_that_is_connected_to(self) -> None:
        """There is no second look-up, whose result could differ (DNS rebinding)."""
        resolver = FakeResolver("127.0.0.1", "169.254.169.254")
        self.assertEqual(await self.dialled(resolver, self.url, allow_loopback=True), ["127.0.0.1"])
        self.assertEqual(resolver.lookups, 1)

    async def test_a_failure_of_an_allowed_address_is_no_refusal(self) -> None:
        await self.canary.close()
        with self.assertRaises(OriginFailed):
            await self.dialled(FakeResolver("169.254.169.254 127.0.0.1"), self.url, allow_loopback=True)
        self.assertEqual(self.recording.dialled, ["127.0.0.1"])

    async def test_cancelling_a_connection_gives_its_look_up_up(self) -> None:
        resolver = SilentResolver()
        guarded = cast("IServerReactor", RecordingReactor(resolver))
        connecting = GuardedEndpoint(guarded, "cdn.example", 80, AddressPolicy(), 10).connect(Factory())
        self.assertFalse(resolver.resolution.cancelled)
        connecting.cancel()
        self.assertTrue(resolver.resolution.cancelled)
        connecting.addErrback(lambda _: None)

    async def test_a_name_without_addresses_fails(self) -> None:
        with self.assertRaises(OriginFailed):
            await self.dialled(FakeResolver(""), self.url)

    async def test_the_target_of_a_redirect_is_under_the_same_policy(self) -> None:
        resolver = FakeResolver("127.0.0.1", "10.1.2.3")
        first = self.origin(response(b"", "302 Found", Location=self.canary.url(host="inner.example")))
        with self.assertRaises(SourceRefused):
            await self.dialled(resolver, first.url(host="cdn.example"), allow_loopback=True, allow_private=False)
        self.assertEqual((self.recording.dialled, self.canary.connected), (["127.0.0.1"], 0))

    async def test_a_silent_address_does_not_keep_a_fetch_from_the_next(self) -> None:
        """Its backlog is full: the kernel drops further SYNs, as a firewall does."""
        port = self.canary.port.getHost().port  # type: ignore[attr-defined]
        with socket.create_server(("127.0.0.7", port), backlog=0) as silent:
            filling = [socket.socket() for _ in range(3)]
            try:
                for client in filling:
                    client.setblocking(False)
                    client.connect_ex(silent.getsockname())
                dialled = await self.dialled(FakeResolver("127.0.0.7 127.0.0.1"), self.url, allow_loopback=True)
            finally:
                for client in filling:
                    client.close()
        self.assertEqual((dialled, self.canary.connected), (["127.0.0.7", "127.0.0.1"], 1))


class SeveralAddressesTests(SynchronousTestCase):
    """Addresses are tried in turn, each before the previous one has failed (RFC 8305)."""

    def setUp(self) -> None:
        memory: Any = MemoryReactorClock
        self.reactor = memory()
        self.reactor.nameResolver = FakeResolver("2606:4700::1 127.0.0.1 93.184.215.14 93.184.215.15")
        endpoint = GuardedEndpoint(self.reactor, "cdn.example", 80, AddressPolicy(), timeout=10)
        self.connecting = endpoint.connect(Factory.forProtocol(Protocol))

    def dialled(self) -> list[str]:
        return [host for host, *_ in self.reactor.tcpClients]

    def accept(self, number: int) -> None:
        """Accept the connection attempt *number*."""
        factory = self.reactor.tcpClients[number][2]
        factory.buildProtocol(None).makeConnection(StringTransport())

    def test_the_next_allowed_address_is_tried_after_300_ms(self) -> None:
        self.assertEqual(self.dialled(), ["2606:4700::1"])
        self.reactor.advance(0.31)
        self.assertEqual(self.dialled(), ["2606:4700::1", "93.184.215.14"])
        self.assertNoResult(self.connecting)
        self.accept(1)
        self.successResultOf(self.connecting)

    def test_the_first_connection_wins_and_the_others_are_stopped(self) -> None:
        self.reactor.advance(0.31)
        self.accept(0)
        self.successResultOf(self.connecting)
        self.reactor.advance(10)
        self.assertEqual(len(self.dialled()), 2)
        first, second = self.reactor.connectors
        self.assertEqual((first.stoppedConnecting, second.stoppedConnecting), (False, True))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelling_stops_all_attempts(self) -> None:
        self.reactor.advance(0.31)
        self.connecting.cancel()
        self.failureResultOf(self.connecting)
        self.assertTrue(all(connector.stoppedConnecting for connector in self.reactor.connectors))
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class LateResolver(FakeResolver):
    """Its results wait for a call of `answer`."""

    def resolveHostName(
        self, resolutionReceiver: IResolutionReceiver, *arguments: Any, **keywords: Any
    ) -> IHostResolution:
        self.answer = lambda: super(LateResolver, self).resolveHostName(resolutionReceiver, *arguments, **keywords)
        return _Resolution("")


class RefusalLogTests(SynchronousTestCase):
    def test_the_log_line_has_the_id_of_the_refused_request(self) -> None:
        ids: list[str] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event.get("log_namespace") == GuardedEndpoint.log.namespace:
                ids.append(current_request_id())

        observer: ILogObserver = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        memory: Any = MemoryReactorClock
        reactor = memory()
        resolver = reactor.nameResolver = LateResolver("127.0.0.1")

        def connect() -> Deferred[Any]:
            bind_request(RequestRecord("mine"))
            endpoint = GuardedEndpoint(reactor, "cdn.example", 80, AddressPolicy(), timeout=10)
            return endpoint.connect(Factory.forProtocol(Protocol))

        connecting = copy_context().run(connect)
        resolver.answer()
        self.failureResultOf(connecting, SourceRefused)
        self.assertEqual(ids, ["mine"])
