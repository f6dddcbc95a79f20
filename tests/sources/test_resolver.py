"""Look-ups that hang block no other work, and equal ones are done once."""

from __future__ import annotations

import socket
from threading import Event
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from imgforge.concurrency import DaemonThreadPool
from imgforge.sources import resolver as resolver_module
from imgforge.sources.resolver import Resolver
from tests.support.scripted_origin import reactor


@implementer(IResolutionReceiver)
class Receiver:
    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self.addresses: list[str] = []
        self.ports: set[int] = set()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self.resolution = resolutionInProgress

    def addressResolved(self, address: IAddress) -> None:
        assert isinstance(address, IPv4Address | IPv6Address)
        self.addresses.append(address.host)
        self.ports.add(address.port)

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

        self.resolver = Resolver(reactor, pool, look_up, patience=0.01)

    def receiver(self, host: str, port: int = 80) -> Receiver:
        receiver = Receiver()
        self.resolver.resolveHostName(receiver, host, port)
        self.assertEqual(receiver.resolution.name, host)
        return receiver

    def ask(self, host: str) -> Deferred[list[str]]:
        return self.receiver(host).done

    async def occupy_all_threads(self) -> list[Receiver]:
        receivers = [self.receiver(f"slow{number}.example") for number in range(3)]
        while len(self.asked) < 3:
            await deferLater(reactor, 0.001)
        return receivers

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

    async def test_queued_look_ups_that_nobody_waits_for_are_dropped(self) -> None:
        await self.occupy_all_threads()
        for each in [self.receiver(f"queued{number}.example") for number in range(9)]:
            each.resolution.cancel()
        given_up, kept = self.receiver("shared.example"), self.receiver("shared.example")
        given_up.resolution.cancel()
        last = self.ask("last.example")
        self.server_is_back.set()
        self.assertEqual([await kept.done, await last], [["192.0.2.7"]] * 2)
        self.assertEqual(set(self.asked[3:]), {"shared.example", "last.example"})
        self.assertFalse(given_up.done.called)

    async def test_look_up_that_a_thread_has_begun_is_shared_by_those_that_come_later(self) -> None:
        begun = await self.occupy_all_threads()
        for each in begun:
            each.resolution.cancel()
        again = self.ask("slow1.example")
        self.server_is_back.set()
        self.assertEqual(await again, ["192.0.2.7"])
        self.assertEqual(self.asked.count("slow1.example"), 1)

    async def test_names_that_resolved_lately_do_not_wait_for_a_thread(self) -> None:
        await self.ask("known.example")
        self.asked.clear()
        await self.occupy_all_threads()
        unknown = self.ask("unknown.example")
        known = self.receiver("known.example", 443)
        self.assertEqual((await known.done, known.ports), (["192.0.2.7"], {443}))
        known.resolution.cancel()  # as endpoints do at their end
        self.assertFalse(unknown.called)
        self.server_is_back.set()
        await unknown
        self.assertEqual(await self.ask("known.example"), ["192.0.2.7"])
        self.assertIn("known.example", self.asked)  # looked up nevertheless

    async def test_addresses_take_no_thread(self) -> None:
        await self.occupy_all_threads()
        for host in ("192.0.2.9", "2001:db8::9"):
            receiver = self.receiver(host, 443)
            self.assertEqual((self.successResultOf(receiver.done), receiver.ports), ([host], {443}))
        waiting = [self.receiver(host) for host in ("127.1", "0x7f.0.0.1", "127.0.0.010", "fe80::9%lo", "2130706433")]
        self.assertFalse(any(receiver.done.called for receiver in waiting))
        self.server_is_back.set()
        for receiver in waiting:
            await receiver.done

    async def test_addresses_of_long_ago_are_not_used(self) -> None:
        self.patch(resolver_module, "_KNOWN_FOR", 0.0)
        await self.ask("known.example")
        self.asked.clear()
        await self.occupy_all_threads()
        known = self.ask("known.example")
        await deferLater(reactor, 0.05)
        self.assertFalse(known.called)
        self.server_is_back.set()
        self.assertEqual(await known, ["192.0.2.7"])

    async def test_the_reactors_own_threads_stay_free(self) -> None:
        lookups = [self.ask(f"slow{number}.example") for number in range(40)]
        self.assertEqual([await deferToThread(lambda: 1) for _ in range(20)], [1] * 20)
        self.server_is_back.set()
        for lookup in lookups:
            await lookup
