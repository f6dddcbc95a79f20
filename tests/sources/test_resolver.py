"""Look-ups that hang block no other work, and equal ones are done once."""

from __future__ import annotations

import socket
from threading import Event
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from imgforge.concurrency import DaemonThreadPool
from imgforge.sources.resolver import Resolver
from tests.support.scripted_origin import reactor


@implementer(IResolutionReceiver)
class Receiver:
    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self.addresses: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self.resolution = resolutionInProgress

    def addressResolved(self, address: IAddress) -> None:
        assert isinstance(address, IPv4Address)
        self.addresses.append(address.host)

    def resolutionComplete(self) -> None:
        self.done.callback(self.addresses)


class ResolverTests(TestCase):
    def setUp(self) -> None:
        self.asked: list[str] = []
        self.server_is_back = Event()
        pool = DaemonThreadPool(minthreads=0, maxthreads=3)
        pool.start()
        self.addCleanup(pool.stop)
        self.addCleanup(self.server_is_back.set)  # before the pool's end

        def look_up(host: str, port: int, *_: Any) -> list[Any]:
            self.asked.append(host)
            if host.startswith("slow"):
                self.server_is_back.wait(60)
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("192.0.2.7", port))]

        self.resolver = Resolver(reactor, pool, look_up)

    def ask(self, host: str) -> Deferred[list[str]]:
        receiver = Receiver()
        self.resolver.resolveHostName(receiver, host, 80)
        self.assertEqual(receiver.resolution.name, host)
        receiver.resolution.cancel()
        return receiver.done

    async def test_it_is_a_resolver(self) -> None:
        self.assertTrue(verifyObject(IHostnameResolver, self.resolver))
        self.assertEqual(await self.ask("a.example"), ["192.0.2.7"])

    async def test_equal_look_ups_are_done_once(self) -> None:
        lookups = [self.ask("slow.example") for _ in range(50)]
        self.assertEqual(await self.ask("quick.example"), ["192.0.2.7"])
        self.assertFalse(any(lookup.called for lookup in lookups))
        self.server_is_back.set()
        for lookup in lookups:
            self.assertEqual(await lookup, ["192.0.2.7"])
        self.assertEqual(self.asked.count("slow.example"), 1)
        await self.ask("slow.example")
        self.assertEqual(self.asked.count("slow.example"), 2)

    async def test_the_reactors_own_threads_stay_free(self) -> None:
        lookups = [self.ask(f"slow{number}.example") for number in range(40)]
        self.assertEqual([await deferToThread(lambda: 1) for _ in range(20)], [1] * 20)
        self.server_is_back.set()
        for lookup in lookups:
            await lookup
