"""What two nodes that share a cache do together, whatever the cache is.

A test module imports this module, not the class, so that the class is not run by itself:

    class RedisFleetTests(fleet_case.FleetTests):
        def fleet_settings(self) -> dict[str, str]:
            return {"CACHE_USE": "redis", "CACHE_REDIS_URL": self.redis.url}
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Reply, Twistd, wait_for

__all__ = ["FleetCase", "FleetTests"]

_TOKEN = {"Authorization": "Bearer purge-secret"}
_EACH = 100


class FleetCase(SynchronousTestCase):
    """Two servers of one process each, on ports of their own, with the settings of `fleet_settings`, and an origin."""

    def fleet_settings(self) -> dict[str, str]:
        """What the nodes share, and what they have for themselves; names without the prefix."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.origin = Origin({f"/{name}.png": encode(gradient(40, 30), "PNG") for name in "abcd"})
        self.addCleanup(self.origin.close)
        settings = self.fleet_settings()
        self.cache_name = settings.get("CACHE_TYPE") or settings["CACHE_USE"]
        with ThreadPoolExecutor(2) as pool:
            self.nodes = list(pool.map(self.node, [settings] * 2))

    def scratch(self) -> str:
        """A new directory."""
        directory = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(directory.cleanup)
        return directory.name

    def node(self, settings: Mapping[str, str], environment: Mapping[str, str] | None = None) -> Twistd:
        """Another node, started."""
        common = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "ALLOW_UNSIGNED": "true", "PROCESSES": "1"}
        # A busy machine is no hung cache.
        common |= {"PURGE_SECRET": "purge-secret", "CACHE_SHARED_TIMEOUT": "10", **settings}
        made = Twistd(common, environment=environment or {})
        self.addCleanup(made.clean)
        return made.start()

    def path(self, name: str, options: str = "w:20") -> str:
        """The path of the original *name* with *options*."""
        return f"/unsafe/{options}/plain/{self.origin.url(f'/{name}.png')}@png"

    def misses(self, node: Twistd) -> float:
        """How many look-ups of the node have missed."""
        return node.metric(f'cache_misses_total{{cache_type="{self.cache_name}"}}') or 0

    def made(self) -> float:
        """How many renditions the nodes have made."""
        return sum(node.metric('processed_images_total{format="png"}') or 0 for node in self.nodes)

    def ask_all_at_once(self, path: str) -> list[Reply]:
        """What 200 equal requests, over both nodes, are answered; all have come before the origin answers."""
        before = [self.misses(node) for node in self.nodes]
        self.origin.hold()
        with ThreadPoolExecutor(_EACH * len(self.nodes)) as pool:
            asked = [pool.submit(node.get, path) for node in self.nodes for _ in range(_EACH)]
            for node, earlier in zip(self.nodes, before, strict=True):
                wait_for(lambda node=node, all_=earlier + _EACH: self.misses(node) == all_, "all requests at a node")  # type: ignore[misc]
            self.origin.release()
            return [one.result() for one in asked]

    def purge(self, node: Twistd, what: Mapping[str, str]) -> None:
        """Purge *what* at *node*: a source, tag or prefix."""
        reply = node.get("/cache/purge", _TOKEN, "POST", json.dumps(what).encode())
        self.assertEqual(reply.status, 200, reply.body)

    def shown(self, path: str) -> set[bytes]:
        """What the nodes show under *path*."""
        bodies = set()
        for node in self.nodes:
            reply = node.get(path)
            self.assertEqual(reply.status, 200, reply.body)
            bodies.add(reply.body)
        return bodies

    def shows_old(self, path: str, old: bytes) -> bool:
        return old in self.shown(path)

    def all_hit(self, path: str) -> bool:
        return all("HIT" in node.get(path).headers["cache-status"] for node in self.nodes)


class FleetTests(FleetCase):
    """What the nodes do, whatever the cache is."""

    # How many renditions, and fetches, equal requests to both nodes may cost.
    most_renditions = 1

    def ask_for_one_fetch(self, path_of: Callable[[str], str]) -> str:
        """The path for which 200 equal requests have cost no more than `most_renditions`.

        No lease is taken of a disk or store that stands still for a second, as on a busy machine: another is asked for
        then.
        """
        costs = []
        for name in "abc":
            fetched, made = len(self.origin.requests), self.made()
            replies = self.ask_all_at_once(path_of(name))
            self.assertEqual(({reply.status for reply in replies}, len({reply.body for reply in replies})), ({200}, 1))
            costs.append(max(len(self.origin.requests) - fetched, self.made() - made))
            if costs[-1] <= self.most_renditions:
                return path_of(name)
        raise AssertionError(f"fetches and renditions: {costs}")

    def test_200_requests_at_once_over_both_nodes_fetch_one_original_and_make_one_rendition(self) -> None:
        self.ask_for_one_fetch(self.path)

    def test_facts_about_an_original_are_shared_too(self) -> None:
        path = self.ask_for_one_fetch(lambda name: f"/info/unsafe/avg:1/plain/{self.origin.url(f'/{name}.png')}")
        wait_for(partial(self.all_hit, path), "the facts to be stored")

    def test_what_one_node_has_made_the_other_serves(self) -> None:
        first, second = self.nodes
        made = first.get(self.path("a")).body
        wait_for(lambda: "HIT" in second.get(self.path("a")).headers["cache-status"], "a hit of the other node")
        self.assertEqual(second.get(self.path("a")).body, made)

    def test_a_purge_by_source_tag_prefix_and_url_is_obeyed_by_both_nodes(self) -> None:
        paths = {"a": self.path("a"), "b": self.path("b"), "c": self.path("c", "w:20/cache_tags:hero")}
        paths["d"] = self.path("d")
        for number, (name, what) in enumerate(
            (
                ("a", {"source": self.origin.url("/a.png")}),
                ("b", {"prefix": self.origin.url("/b")}),
                ("c", {"tag": "hero"}),
                ("d", {}),
            )
        ):
            old = {path: self.shown(path).pop() for path in paths.values()}
            for path in paths.values():
                wait_for(partial(self.all_hit, path), "both nodes to have it cached")
            for letter in paths:
                self.origin.files[f"/{letter}.png"] = encode(gradient(60, 31 + number), "PNG")
            purging = self.nodes[number % 2]
            if what:
                self.purge(purging, what)
            else:
                self.assertEqual(purging.get(paths[name], _TOKEN, "PURGE").status, 200)
            wait_for(lambda path=paths[name], was=old[paths[name]]: not self.shows_old(path, was), "the new picture")  # type: ignore[misc]
            for letter, path in paths.items():
                if letter != name:
                    self.assertEqual(self.shown(path), {old[path]}, f"{letter} was purged with {name}")
