"""The guard on look-ups whose answers are mixed, change, or are spelled strangely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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
from zope.interface import implementer
from zope.interface.verify import verifyObject

from imgforge.errors import OriginFailed, SourceRefused
from imgforge.sources import AddressPolicy, Sources
from tests.sources._origin import reactor, whole
from tests.sources.test_http import HERE, HttpCase


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It is over already."""


@implementer(IHostnameResolver)
class Names:
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

    def __init__(self, names: Names) -> None:
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

    async def dialled(self, names: Names, url: str, **policy: bool) -> list[str]:
        """The addresses that a fetch of *url* dialled; it fails as the fetch does."""
        self.resolving: Any = Resolving(names)
        sources = Sources(self.resolving, replace(HERE, addresses=AddressPolicy(**policy)))
        self.addCleanup(lambda: Deferred.fromCoroutine(sources.close()))
        await sources.fetch(url, None, {})
        dialled: list[str] = self.resolving.dialled
        return dialled

    def test_the_fake_is_a_resolver(self) -> None:
        self.assertTrue(verifyObject(IHostnameResolver, Names("127.0.0.1")))

    async def test_only_the_allowed_ones_of_several_addresses_are_tried(self) -> None:
        names = Names("169.254.169.254 10.0.0.1 fd00::1 127.0.0.1")
        self.assertEqual(await self.dialled(names, self.url, allow_loopback=True, allow_private=False), ["127.0.0.1"])

    async def test_a_name_with_no_allowed_address_is_not_dialled(self) -> None:
        for answer in ("127.0.0.1 ::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254", "fe80::1%lo"):
            with self.assertRaises(SourceRefused) as caught:
                await self.dialled(Names(answer), self.url)
            self.assertEqual(self.resolving.dialled, [], answer)
            self.assertNotIn(answer.split()[0], caught.exception.message)

    async def test_an_answer_that_changes_is_asked_for_once(self) -> None:
        """The address that was judged is the one that is dialled: nobody asks again in between."""
        names = Names("127.0.0.1", "169.254.169.254")
        self.assertEqual(await self.dialled(names, self.url, allow_loopback=True), ["127.0.0.1"])
        self.assertEqual(names.lookups, 1)

    async def test_a_failure_of_an_allowed_address_is_no_refusal(self) -> None:
        await self.canary.close()
        with self.assertRaises(OriginFailed):
            await self.dialled(Names("169.254.169.254 127.0.0.1"), self.url, allow_loopback=True)
        self.assertEqual(self.resolving.dialled, ["127.0.0.1"])

    async def test_a_name_that_nobody_knows(self) -> None:
        with self.assertRaises(OriginFailed):
            await self.dialled(Names(""), self.url)

    async def test_a_redirect_is_dialled_under_the_same_rules(self) -> None:
        names = Names("127.0.0.1", "10.1.2.3")
        first = self.origin(whole(b"", "302 Found", Location=self.canary.url(host="inner.example")))
        with self.assertRaises(SourceRefused):
            await self.dialled(names, first.url(host="cdn.example"), allow_loopback=True, allow_private=False)
        self.assertEqual((self.resolving.dialled, self.canary.connected), (["127.0.0.1"], 0))
