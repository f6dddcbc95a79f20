"""The guard on look-ups whose answers are mixed, change, or are spelled strangely."""

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
from imgforge.observability import bind_request_id, current_request_id
from imgforge.sources import AddressPolicy, SourceRegistry
from imgforge.sources.address_policy import GuardedEndpoint
from tests.support.http_case import HERE, HttpCase
from tests.support.scripted_origin import reactor, whole


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It is over already."""


@implementer(IHostnameResolver)
class Resolver:
    """Answers each look-up with the next list of addresses; the last one stays."""

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
            made = IPv6Address if ":" in address else IPv4Address
            resolutionReceiver.addressResolved(made("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IReactorPluggableNameResolver, IReactorTCP, IReactorTime)
class Resolving:
    """The reactor with other names; notes which addresses are dialled."""

    def __init__(self, names: Resolver) -> None:
        self.nameResolver = names
        self.dialled: list[str] = []

    def connectTCP(self, host: str, port: int, *rest: Any, **named: Any) -> Any:
        self.dialled.append(host)
        return reactor.connectTCP(host, port, *rest, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class LookUpTests(HttpCase):
    def setUp(self) -> None:
        self.canary = self.origin(whole(b"secret"))
        self.url = self.canary.url(host="cdn.example")

    async def dialled(self, names: Resolver, url: str, **policy: bool) -> list[str]:
        """The addresses that a fetch of *url* dialled; it fails as the fetch does."""
        self.resolving = Resolving(names)
        sources = SourceRegistry(
            cast("IServerReactor", self.resolving), replace(HERE, addresses=AddressPolicy(**policy))
        )
        self.addCleanup(sources.close)
        await sources.fetch(url, None, {})
        return self.resolving.dialled

    def test_the_fake_is_a_resolver(self) -> None:
        self.assertTrue(verifyObject(IHostnameResolver, Resolver("127.0.0.1")))

    async def test_only_the_allowed_ones_of_several_addresses_are_tried(self) -> None:
        names = Resolver("169.254.169.254 10.0.0.1 fd00::1 127.0.0.1")
        self.assertEqual(await self.dialled(names, self.url, allow_loopback=True, allow_private=False), ["127.0.0.1"])

    async def test_a_name_with_no_allowed_address_is_not_dialled(self) -> None:
        for answer in ("127.0.0.1 ::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254", "fe80::1%lo"):
            with self.assertRaises(SourceRefused) as caught:
                await self.dialled(Resolver(answer), self.url)
            self.assertEqual(self.resolving.dialled, [], answer)
            self.assertNotIn(answer.split()[0], caught.exception.message)

    async def test_an_answer_that_changes_is_asked_for_once(self) -> None:
        """The address that was judged is the one that is dialled: nobody asks again in between."""
        names = Resolver("127.0.0.1", "169.254.169.254")
        self.assertEqual(await self.dialled(names, self.url, allow_loopback=True), ["127.0.0.1"])
        self.assertEqual(names.lookups, 1)

    async def test_a_failure_of_an_allowed_address_is_no_refusal(self) -> None:
        await self.canary.close()
        with self.assertRaises(OriginFailed):
            await self.dialled(Resolver("169.254.169.254 127.0.0.1"), self.url, allow_loopback=True)
        self.assertEqual(self.resolving.dialled, ["127.0.0.1"])

    async def test_a_name_that_nobody_knows(self) -> None:
        with self.assertRaises(OriginFailed):
            await self.dialled(Resolver(""), self.url)

    async def test_a_redirect_is_dialled_under_the_same_rules(self) -> None:
        names = Resolver("127.0.0.1", "10.1.2.3")
        first = self.origin(whole(b"", "302 Found", Location=self.canary.url(host="inner.example")))
        with self.assertRaises(SourceRefused):
            await self.dialled(names, first.url(host="cdn.example"), allow_loopback=True, allow_private=False)
        self.assertEqual((self.resolving.dialled, self.canary.connected), (["127.0.0.1"], 0))

    async def test_an_address_that_is_silent_does_not_keep_a_fetch_from_one_that_answers(self) -> None:
        """Its backlog is full: the kernel drops what else would connect, as a firewall does."""
        port = self.canary.port.getHost().port  # type: ignore[attr-defined]
        with socket.create_server(("127.0.0.7", port), backlog=0) as silent:
            filling = [socket.socket() for _ in range(3)]
            try:
                for one in filling:
                    one.setblocking(False)
                    one.connect_ex(silent.getsockname())
                dialled = await self.dialled(Resolver("127.0.0.7 127.0.0.1"), self.url, allow_loopback=True)
            finally:
                for one in filling:
                    one.close()
        self.assertEqual((dialled, self.canary.connected), (["127.0.0.7", "127.0.0.1"], 1))


class SeveralAddressesTests(SynchronousTestCase):
    """Addresses are tried one after the other, before the one before has failed (RFC 8305)."""

    def setUp(self) -> None:
        memory: Any = MemoryReactorClock
        self.reactor = memory()
        self.reactor.nameResolver = Resolver("2606:4700::1 127.0.0.1 93.184.215.14 93.184.215.15")
        endpoint = GuardedEndpoint(self.reactor, "cdn.example", 80, AddressPolicy(), timeout=10)
        self.connecting = endpoint.connect(Factory.forProtocol(Protocol))

    def dialled(self) -> list[str]:
        return [host for host, *_ in self.reactor.tcpClients]

    def answered(self, number: int) -> None:
        """The address that was dialled as that one accepts."""
        factory = self.reactor.tcpClients[number][2]
        factory.buildProtocol(None).makeConnection(StringTransport())

    def test_the_next_one_is_tried_after_a_moment_and_none_that_is_refused(self) -> None:
        self.assertEqual(self.dialled(), ["2606:4700::1"])
        self.reactor.advance(0.31)
        self.assertEqual(self.dialled(), ["2606:4700::1", "93.184.215.14"])
        self.assertNoResult(self.connecting)
        self.answered(1)
        self.successResultOf(self.connecting)

    def test_the_first_one_that_answers_counts_and_the_others_are_left(self) -> None:
        self.reactor.advance(0.31)
        self.answered(0)
        self.successResultOf(self.connecting)
        self.reactor.advance(10)
        self.assertEqual(len(self.dialled()), 2)
        first, second = self.reactor.connectors
        self.assertEqual((first.stoppedConnecting, second.stoppedConnecting), (False, True))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_fetch_that_is_given_up_leaves_all_of_them(self) -> None:
        self.reactor.advance(0.31)
        self.connecting.cancel()
        self.failureResultOf(self.connecting)
        self.assertTrue(all(connector.stoppedConnecting for connector in self.reactor.connectors))
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class LateNames(Resolver):
    """Its answers wait for `answer`."""

    def resolveHostName(self, resolutionReceiver: IResolutionReceiver, *asked: Any, **how: Any) -> IHostResolution:
        self.answer = lambda: super(LateNames, self).resolveHostName(resolutionReceiver, *asked, **how)
        return _Resolution("")


class RefusalLogTests(SynchronousTestCase):
    def test_the_line_has_the_id_of_the_request_that_is_refused_whoever_brings_the_addresses(self) -> None:
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
        names = reactor.nameResolver = LateNames("127.0.0.1")

        def connect() -> Deferred[Any]:
            bind_request_id("mine")
            endpoint = GuardedEndpoint(reactor, "cdn.example", 80, AddressPolicy(), timeout=10)
            return endpoint.connect(Factory.forProtocol(Protocol))

        connecting = copy_context().run(connect)
        names.answer()
        self.failureResultOf(connecting, SourceRefused)
        self.assertEqual(ids, ["mine"])
