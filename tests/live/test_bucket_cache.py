"""Nodes that share a cache in a bucket: renditions, purges, a store that hangs or dies, and `imgforge cache`."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support import fleet_case
from tests.support.azure_server import ACCOUNT, KEY, AzureServer
from tests.support.cli import imgforge
from tests.support.gcs_server import GcsServer
from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, Twistd, wait_for
from tests.support.swift_server import RealSwift
from tests.support.versity_server import VersityServer


class BucketNodes(fleet_case.FleetCase):
    """Two nodes with the settings of `own` before a bucket of a real S3."""

    own: ClassVar[dict[str, str]] = {}
    server: VersityServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = VersityServer("cache")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def fleet_settings(self) -> dict[str, str]:
        # Each test has a prefix of its own in the bucket.
        shared = {"CACHE_BUCKET": "cache", "CACHE_PATH_PREFIX": f"tests/{self.id().rpartition('.')[2]}"}
        return self.server.settings | shared | self.own

    def node(self, settings: Mapping[str, str], environment: Mapping[str, str] | None = None) -> Twistd:
        return super().node(settings, self.server.environment | dict(environment or {}))

    def place(self) -> Path:
        """The directory of the test's entries, which are files of versitygw's."""
        return self.server.objects / "cache" / self.fleet_settings()["CACHE_PATH_PREFIX"]

    def entries(self) -> list[str]:
        """The names of the entries, which begin with their keys."""
        return sorted(path.name for path in self.place().glob("*") if path.is_file())


class SharedTests(BucketNodes, fleet_case.FleetTests):
    """Each node has a memory in front of the bucket."""

    most_renditions = 2  # a bucket has no leases
    own: ClassVar[dict[str, str]] = {"CACHE_TYPE": "memory"}

    def test_a_node_that_was_away_knows_the_purges_of_others(self) -> None:
        path = self.path("a")
        self.shown(path)
        wait_for(lambda: len(self.entries()) == 1, "the entry")
        entry = self.place() / self.entries()[0]
        whole = entry.read_bytes()
        self.purge(self.nodes[0], {"prefix": self.origin.url("/")})
        wait_for(lambda: not self.entries(), "the removal")
        entry.write_bytes(whole)  # as if the store had refused to remove it
        late = self.node(self.fleet_settings())
        self.assertNotIn("HIT", late.get(path).headers["cache-status"])


class EntryTests(BucketNodes):
    """The bucket is the only cache."""

    def test_objects_begin_with_the_key_and_damaged_ones_are_replaced(self) -> None:
        node, other = self.nodes
        node.assert_logged("cache: shared in s3")
        reply = node.get(self.path("a"))
        key = reply.headers["x-cache-key"]
        wait_for(lambda: self.entries() == [key], "the entry")
        entry = self.place() / key
        whole = entry.read_bytes()
        node.get(self.path("b"))
        wait_for(lambda: len(self.entries()) == 2, "another entry")
        (another,) = set(self.entries()) - {key}
        for damage in (whole[:-1], b"", whole + b"x", (self.place() / another).read_bytes()):

            def passed_over(damage: bytes = damage) -> bool:
                entry.write_bytes(damage)
                again = other.get(self.path("a"))
                self.assertEqual((again.status, again.body), (200, reply.body))
                return "HIT" not in again.headers["cache-status"]

            wait_for(passed_over, "the damaged entry to be passed over")  # an earlier write may replace it first
            wait_for(lambda: "HIT" in other.get(self.path("a")).headers["cache-status"], "the replaced entry")

    def test_the_entries_can_be_counted_checked_and_removed(self) -> None:
        for name in "abc":
            self.nodes[0].get(self.path(name))
        wait_for(lambda: len(self.entries()) == 3, "the entries")
        environment = self.server.environment
        environment |= {f"IMGFORGE_{name}": value for name, value in self.fleet_settings().items()}
        environment |= {"IMGFORGE_CACHE_TYPE": "none", "IMGFORGE_ALLOW_UNSIGNED": "true"}

        def run(*arguments: str, status: int = 0) -> dict[str, int]:
            done = imgforge("cache", *arguments, **environment)
            self.assertEqual(done.returncode, status, done.stderr)
            counts: dict[str, int] = json.loads(done.stdout)
            return counts

        self.assertEqual(run("stats")["entries"], 3)
        (self.place() / self.entries()[0]).write_bytes(b"damaged")
        counts = run("verify", status=1)
        self.assertEqual((counts["entries"], counts["damaged"], counts["removed"]), (3, 1, 1))
        self.assertEqual(len(self.entries()), 2)
        self.assertEqual(run("prune", "--max-bytes", "0")["removed"], 2)
        self.assertEqual(self.entries(), [])


class OtherStoresTests(SynchronousTestCase):
    """The other stores, by their own settings."""

    def check(self, use: str, **settings: str) -> None:
        """A node caches an image in the store, finds it there, and purges it."""
        origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")})
        self.addCleanup(origin.close)
        common = {"ALLOW_UNSIGNED": "true", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1"}
        common |= {"CACHE_SHARED_TIMEOUT": "10", "PURGE_SECRET": "secret", "CACHE_USE": use, "CACHE_BUCKET": "cache"}
        server = Twistd(common | {f"CACHE_{name}": value for name, value in settings.items()})
        self.addCleanup(server.clean)
        server.start()
        path = f"/unsafe/w:20/plain/{origin.url('/a.png')}@png"
        body = server.get(path).body
        cached = {"Cache-Control": "only-if-cached"}
        wait_for(lambda: server.get(path, cached).status == 200, f"a hit: {server.output()}")
        hit = server.get(path)
        self.assertIn("HIT", hit.headers["cache-status"])
        self.assertEqual((hit.body, len(origin.requests)), (body, 1))
        purged = server.get(path, {"Authorization": "Bearer secret"}, "PURGE")
        self.assertEqual((purged.status, json.loads(purged.body)), (200, {"purged": 1}))
        self.assertNotIn("HIT", server.get(path).headers["cache-status"])
        self.assertEqual(server.stop(), 0)
        for secret in filter(None, (settings.get("ABS_KEY"), settings.get("SWIFT_API_KEY"))):
            self.assertNotIn(secret, server.output())

    def test_google_cloud_storage(self) -> None:
        store = GcsServer("cache")
        self.addCleanup(store.close)
        self.check("gcs", GCS_ENDPOINT=store.url, PATH_PREFIX="images")

    def test_azure(self) -> None:
        store = AzureServer("cache")
        self.addCleanup(store.close)
        self.check("abs", ABS_NAME=ACCOUNT, ABS_KEY=KEY, ABS_ENDPOINT=store.url, PATH_PREFIX="ä b/c")

    def test_swift(self) -> None:
        store = RealSwift()
        self.addCleanup(store.close)
        store.put("cache", "first", b"x")
        self.check(
            "swift", SWIFT_AUTH_URL=store.auth_url, SWIFT_USERNAME="test:tester", SWIFT_API_KEY="testing", TTL="3600"
        )


class StartTests(SynchronousTestCase):
    def server(self, environment: Mapping[str, str], **settings: str) -> Twistd:
        made = Twistd(
            {"ALLOW_UNSIGNED": "true", "PROCESSES": "1", "CACHE_USE": "s3", **settings}, environment=environment
        )
        self.addCleanup(made.clean)
        return made

    def assert_ends(self, server: Twistd, *expected: str) -> None:
        server.launch()
        wait_for(lambda: server.ended, "the end of a start that fails")
        lines = [line for line in server.output().splitlines() if line.startswith("imgforge: ")]
        self.assertEqual(len(lines), len(expected), server.output())
        for line, text in zip(lines, expected, strict=True):
            self.assertIn(text, line)

    def test_mistakes_end_the_start_with_a_line_each(self) -> None:
        self.assert_ends(self.server({}), "IMGFORGE_CACHE_USE=s3 needs IMGFORGE_CACHE_BUCKET")
        self.assert_ends(
            self.server({}, CACHE_BUCKET="cache", CACHE_S3_ENDPOINT="ftp://store"),
            "IMGFORGE_CACHE_S3_ENDPOINT='ftp://store' must be the URL of an S3 store",
        )

    def test_without_botocore_the_start_says_what_to_install(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        Path(scratch.name, "botocore.py").write_text("")  # hides the package
        server = self.server({"PYTHONPATH": os.pathsep.join([scratch.name, str(ROOT)])}, CACHE_BUCKET="cache")
        self.assert_ends(server, "IMGFORGE_CACHE_USE=s3 needs botocore: pip install 'twisted-imgforge[s3]'")

    def test_without_credentials_images_are_served_and_the_log_says_what_is_missing(self) -> None:
        origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")})
        self.addCleanup(origin.close)
        server = self.server(
            {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"},
            CACHE_BUCKET="cache",
            CACHE_S3_ENDPOINT="http://127.0.0.1:1",
            ALLOW_LOOPBACK_SOURCE_ADDRESSES="true",
        ).start()
        self.assertEqual(server.get(f"/unsafe/w:20/plain/{origin.url('/a.png')}@png").status, 200)
        wait_for(lambda: "reads and writes of the cache fail" in server.output(), "the warning")
        server.assert_logged("s3: cannot get credentials: botocore finds none: set AWS_ACCESS_KEY_ID")


class OutageTests(BucketNodes):
    """A store that hangs, dies and comes back; a look-up may take as long as by default."""

    own: ClassVar[dict[str, str]] = {"CACHE_SHARED_TIMEOUT": "0.3"}

    def tearDown(self) -> None:
        assert self.server.process is not None
        if self.server.process.poll() is not None:
            self.server.start()
        self.server.signal(signal.SIGCONT)

    def served(self, options: str) -> None:
        """Cold images are served by both nodes."""
        paths = [self.path(name, options) for name in "abcd"]
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda one: one[0].get(one[1]), [(n, p) for n in self.nodes for p in paths]))
        self.assertEqual({reply.status for reply in replies}, {200})

    def used_again(self, options: str) -> None:
        """One node serves what the other has made."""
        made = self.nodes[0].get(self.path("a", options)).body
        wait_for(
            lambda: "HIT" in self.nodes[1].get(self.path("a", options)).headers["cache-status"],
            "a hit of the other node",
        )
        self.assertEqual(self.nodes[1].get(self.path("a", options)).body, made)

    def back(self) -> None:
        for node in self.nodes:
            wait_for(lambda node=node: "answers again, and is used" in node.output(), "the node to use the bucket")  # type: ignore[misc]

    def test_images_are_served_while_the_store_hangs_and_it_is_used_when_it_goes_on(self) -> None:
        self.served("w:10")
        self.server.signal(signal.SIGSTOP)
        self.served("w:11")
        self.served("w:12")
        self.server.signal(signal.SIGCONT)
        self.back()
        self.used_again("w:13")

    def test_images_are_served_while_the_store_is_gone_and_it_is_used_when_it_is_back(self) -> None:
        self.served("w:14")
        self.server.kill()
        self.served("w:15")
        self.served("w:16")
        self.server.start()
        self.back()
        self.used_again("w:17")
