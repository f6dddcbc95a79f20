"""What Redis refuses is told in one line that helps, without a secret."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, ClassVar

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.redis import RedisFault, RedisInventory, RedisSettings, client, redis_mistake, tier
from imgforge.concurrency import Stalled
from imgforge.model import Purge, RedisAddress
from tests.support.cache_directory import ENTRY, KEY, number_key, sized
from tests.support.certificates import certificate
from tests.support.process import ROOT, free_port
from tests.support.redis_case import RedisCase
from tests.support.redis_server import RedisServer

PASSWORD = "s3cret/pass@word"


class FaultCase(RedisCase):
    async def assert_fault(self, work: Awaitable[Any], text: str) -> str:
        with self.assertRaisesRegex(RedisFault, text) as caught:
            await work
        line = str(caught.exception)
        self.assertEqual(len(line.splitlines()), 1)
        self.assertNotIn(PASSWORD, line)
        return line


class FaultTests(FaultCase):
    options: ClassVar = ("--requirepass", PASSWORD)

    @property
    def address(self) -> RedisAddress:
        return replace(self.server.address, password=PASSWORD)

    def setUp(self) -> None:
        with self.server.client(password=PASSWORD) as client:
            client.replicaof("NO", "ONE")
            client.config_set("maxmemory", 0)
            client.flushall()

    async def test_a_password_is_used(self) -> None:
        node = await self.node(self.address)
        await node.tier.put(KEY, ENTRY)
        self.assertEqual(await node.tier.get(KEY), ENTRY)

    async def test_a_password_that_is_missing_or_wrong(self) -> None:
        for address, text in (
            (replace(self.address, password=""), "wants a password"),
            (replace(self.address, password="other"), "rejects the user or the password"),
            (replace(self.address, username="nobody"), "rejects the user or the password"),
        ):
            node = await self.node(address)
            await self.assert_fault(node.tier.put(KEY, ENTRY), text)
            await self.assert_fault(node.tier.get(KEY), text)

    async def test_a_user_needs_its_keys_and_commands(self) -> None:
        with self.server.client(password=PASSWORD) as client:
            client.execute_command("ACL", "SETUSER", "app", "on", f">{PASSWORD}", "~imgforge:*", "+@all", "-set")
        node = await self.node(replace(self.address, username="app"))
        self.assertIsNone(await node.tier.get(KEY))
        await self.assert_fault(node.tier.put(KEY, ENTRY), "does not permit a command")

    async def test_a_user_with_the_rights_of_the_manual_can_do_everything(self) -> None:
        manual = (ROOT / "docs" / "caches_redis.md").read_text("utf-8")
        (line,) = [line for line in manual.splitlines() if "ACL SETUSER imgforge" in line]
        rights = line.split()[3:]
        with self.server.client(password=PASSWORD) as client:
            if tuple(map(int, client.info()["redis_version"].split(".")))[:2] < (7, 2):
                rights = [word for word in rights if word not in {"+client|no-touch", "+client|setinfo"}]
            client.execute_command("ACL", "SETUSER", "imgforge", "reset", *rights, f">{PASSWORD}")
        address = replace(self.address, username="imgforge", database=1)
        first, second = await self.node(address), await self.node(address)
        lease = first.tier.lease(KEY)
        self.assertTrue((await lease.attempt()).taken)
        await first.tier.put(KEY, replace(ENTRY, tags=("t",)))
        lease.release(b"", succeed(None))
        await self.until(lambda: not self.exists(f"imgforge:lease:{KEY.hex()}"))
        self.assertIsNotNone(await second.tier.get(KEY))
        self.assertGreater(await second.tier.size_of(KEY), 0)
        inventory = RedisInventory(RedisSettings(address), 3600)
        self.addCleanup(inventory.close)
        self.assertGreater(next(inventory.walk()).bytes, 0)
        self.assertGreater(inventory.read(KEY).stored_at, 0)
        self.assertEqual(await second.tier.purge(Purge(2000.0, "tag", "t")), 1)
        await self.until(lambda: first.learned)

    def exists(self, name: str) -> bool:
        with self.server.client(password=PASSWORD, db=1) as client:
            return bool(client.exists(name))

    async def test_a_database_that_is_not_there(self) -> None:
        node = await self.node(replace(self.address, database=9))
        line = await self.assert_fault(node.tier.put(KEY, ENTRY), "no database of that number")
        self.assertIn(f"redis://127.0.0.1:{self.server.port}/9 ", line)

    async def test_memory_that_is_full_without_eviction(self) -> None:
        node = await self.node(self.address)
        with self.server.client(password=PASSWORD) as client:
            client.config_set("maxmemory", 1)
            client.config_set("maxmemory-policy", "noeviction")
        await self.assert_fault(node.tier.put(KEY, ENTRY), "has no memory left and evicts nothing")

    async def test_a_replica(self) -> None:
        node = await self.node(self.address)
        with self.server.client(password=PASSWORD) as client:
            client.replicaof("127.0.0.1", str(free_port()))
            client.config_set("replica-serve-stale-data", "yes")
        await self.assert_fault(node.tier.put(KEY, ENTRY), "a replica that takes no writes")

    async def test_a_server_that_hangs_is_slow(self) -> None:
        self.patch(tier, "_PATIENCE", 0.3)
        node = await self.node(self.address)
        self.server.hang()
        try:
            with self.assertRaises(Stalled):
                await node.tier.get(KEY)
        finally:
            self.server.resume()

    async def test_a_port_without_a_server(self) -> None:
        node = await self.node(RedisAddress("127.0.0.1", free_port(), password=PASSWORD))
        await self.assert_fault(
            node.tier.get(KEY), "cannot be reached, check that it runs and IMGFORGE_CACHE_REDIS_URL"
        )


class EvictionTests(FaultCase):
    options: ClassVar = ("--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru")

    async def test_a_server_that_evicts_is_normal_and_keeps_the_purges(self) -> None:
        node = await self.node()
        self.server.command("XADD", "imgforge:purges", "*", "purge", b'{"at":1,"kind":"tag","value":"x"}')
        for number in range(100):
            await node.tier.put(number_key(number), sized(100_000))
        found = [await node.tier.get(number_key(number)) for number in range(100)]
        self.assertIn(None, found)  # which of them is chance: Redis counts idle time in seconds
        self.assertEqual(found[99], sized(100_000))
        self.assertEqual(len((await self.node()).learned), 1)


class NoPasswordTests(FaultCase):
    async def test_a_password_for_a_server_without_one(self) -> None:
        node = await self.node(replace(self.server.address, password=PASSWORD))
        await self.assert_fault(node.tier.get(KEY), "has no password for this user")

    async def test_tls_for_a_server_without_it(self) -> None:
        self.patch(tier, "_PATIENCE", 0.3)
        node = await self.node(replace(self.server.address, tls=True))
        await self.assert_fault(node.tier.get(KEY), "no TLS is spoken there")


class ClusterTests(FaultCase):
    @classmethod
    def setUpClass(cls) -> None:
        # Its own port is 10,000 above the other, unless it is given.
        cls.server = RedisServer("--cluster-enabled", "yes", "--databases", "1", "--cluster-port", str(free_port()))

    def setUp(self) -> None:
        """The one node of this cluster has no slots."""

    async def test_a_cluster_is_named(self) -> None:
        node = await self.node()
        await self.assert_fault(node.tier.put(KEY, ENTRY), "is a node of a cluster")


class AnswersTests(FaultCase):
    """Answers that a real server gives in rare states."""

    @classmethod
    def setUpClass(cls) -> None:
        """No server."""

    @classmethod
    def tearDownClass(cls) -> None:
        """No server."""

    def setUp(self) -> None:
        self.answer = b""
        case = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                while self.request.recv(65536):
                    self.request.sendall(case.answer + b"\r\n")

        refusing = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        refusing.daemon_threads = True
        self.port = refusing.server_address[1]
        Thread(target=refusing.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(refusing.server_close)
        self.addCleanup(refusing.shutdown)

    async def test_each_state_is_told(self) -> None:
        self.patch(client, "_NAME", "")  # the first command is then the tier's
        for answer, text in (
            (b"-LOADING Redis is loading the dataset in memory", "is loading its data from disk"),
            (
                b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                "without its primary",
            ),
            (b"-MISCONF Redis is configured to save RDB snapshots, but it's unable to", "cannot save to its disk"),
            (b"-MOVED 3999 127.0.0.1:6381", "is a node of a cluster"),
            (b"-ERR max number of clients reached", "raise maxclients"),
            (b"-BUSY Redis is busy running a script.", "is busy with a script"),
            (b"-ERR unknown command 'STRLEN'", "needs Redis 6.2"),
            (b"-ERR something\x07 else", "refuses a command: something  else"),
            (b"hello", "cannot be reached"),
        ):
            self.answer = answer
            node = await self.node(RedisAddress("127.0.0.1", self.port))
            await self.assert_fault(node.tier.size_of(KEY), text)
            await node.close()


class MissingLibraryTests(SynchronousTestCase):
    def test_the_command_that_installs_it_is_told(self) -> None:
        self.assertEqual(redis_mistake(), "")
        self.patch(client, "find_spec", lambda _name: None)
        with self.assertRaisesRegex(ValueError, r"pip install 'twisted-imgforge\[redis\]'"):
            client.RedisClient(RedisAddress("127.0.0.1"), 1.0, 1)


class TlsTests(FaultCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = TlsServer()

    def address(self, **changes: Any) -> RedisAddress:
        return replace(self.server.address, tls=True, ca_file=f"{self.server.scratch.name}/ca.pem", **changes)

    async def test_a_certificate_of_the_named_authority(self) -> None:
        node = await self.node(self.address())
        await node.tier.put(KEY, ENTRY)
        self.assertEqual(await node.tier.get(KEY), ENTRY)

    async def test_a_certificate_that_is_not_trusted(self) -> None:
        node = await self.node(replace(self.address(), ca_file=""))
        await self.assert_fault(node.tier.get(KEY), "shows a certificate that is not trusted .*ssl_ca_certs")

    async def test_a_certificate_of_another_host(self) -> None:
        node = await self.node(self.address(host="localhost"))
        await self.assert_fault(node.tier.get(KEY), "shows a certificate that is not trusted .*localhost")

    async def test_a_plain_url(self) -> None:
        node = await self.node(self.server.address)
        await self.assert_fault(node.tier.get(KEY), "write rediss://")


class TlsServer(RedisServer):
    """A Redis whose port takes TLS only."""

    def __init__(self) -> None:
        self._pem = certificate("127.0.0.1")
        super().__init__(
            "--tls-cert-file", "server.pem", "--tls-key-file", "server.pem",
            "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no",
            port_option="--tls-port",
        )  # fmt: skip

    def start(self, *options: str) -> None:
        for name in ("server.pem", "ca.pem"):
            Path(self.scratch.name, name).write_bytes(self._pem)
        super().start(*options)
