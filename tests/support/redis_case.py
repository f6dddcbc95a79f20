"""Redis tiers in the test's own reactor, on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from imgforge.cache.redis import RedisSettings, RedisTier, tier
from imgforge.interfaces import IServerReactor
from imgforge.model import Purge, RedisAddress
from tests.support.redis_server import RedisServer

__all__ = ["Node", "RedisCase"]

REACTOR = cast("IServerReactor", reactor)


class Node:
    """A tier as one node has it, and the purges that it has learned."""

    def __init__(self, tier: RedisTier) -> None:
        self.tier = tier
        self.learned: list[Purge] = []
        self._closed = False

    def learn(self, purges: Sequence[Purge], *, replaced: bool = False) -> None:
        assert not replaced
        self.learned += purges

    async def close(self) -> None:
        """Close the tier, once."""
        if not self._closed:
            self._closed = True
            await self.tier.close()


class RedisCase(TestCase):
    """A class of tests on one Redis, empty at the start of each test."""

    options: ClassVar[tuple[str, ...]] = ()
    server: ClassVar[RedisServer]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = RedisServer(*cls.options)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def setUp(self) -> None:
        self.patch(tier, "_PATIENCE", 20.0)  # a busy machine is no dead Redis
        self.server.command("FLUSHALL")

    async def node(
        self, address: RedisAddress | None = None, keep: float = 3600.0, max_entry_bytes: int = 1 << 20
    ) -> Node:
        """A started tier, closed at the end of the test."""
        node = Node(RedisTier(REACTOR, RedisSettings(address or self.server.address, max_entry_bytes), keep))
        self.addCleanup(lambda: Deferred.fromCoroutine(node.close()))
        await node.tier.start(node.learn)
        return node

    async def until(self, happened: Callable[[], Any], what: str = "") -> None:
        """Wait until *happened* is true; the test's timeout ends it otherwise."""
        while not happened():
            await deferLater(reactor, 0.01)
