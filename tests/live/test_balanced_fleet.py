"""Two nodes behind HAProxy and nginx with the files of etc/: shards, a node that is killed, drained, and back."""

from __future__ import annotations

import http.client
import json
import math
import time
from collections import Counter
from dataclasses import dataclass
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import Signer
from tests.support.balancers import Balancer, haproxy, nginx
from tests.support.loopback_server import LoopbackServer, QuietHandler
from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, wait_for

KEYS = (("6b6579", "73616c74"), ("6e6577", "73616c7432"))
SIGNERS = tuple(Signer(bytes.fromhex(key), bytes.fromhex(salt)) for key, salt in KEYS)
SLOW = 2.0  # seconds that originals called slow take
NAMES = {"imgforge-1", "imgforge-2"}


def signed(path: str, signer: Signer = SIGNERS[0]) -> str:
    return signer.sign(path)


def image(number: int, name: str = "fast") -> str:
    """The signed path of the image that is *number* pixels wide."""
    return signed(f"/w:{number}/plain/{name}.png@png")


@dataclass(frozen=True)
class Attempt:
    """One request of the load; `status` is 0 where there was no answer, times are those of `time.monotonic`."""

    path: str
    began: float
    status: int
    server: str
    fault: str = ""


class Load:
    """Clients that ask for images one after another, each on a connection that stays open."""

    def __init__(self, balancer: Balancer, clients: int = 6) -> None:
        self.attempts: list[Attempt] = []
        self._balancer = balancer
        self._stopped = Event()
        self._lock = Lock()
        self._number = 0
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _path(self) -> str:
        """Mostly images that were asked for before; one in eight is new."""
        with self._lock:
            self._number += 1
            number = self._number
        return signed(f"/cb:{number}/w:30/plain/fast.png@png") if number % 8 == 0 else image(8 + number % 40)

    def _run(self) -> None:
        connection = self._balancer.connection()
        while not self._stopped.is_set():
            path, began = self._path(), time.monotonic()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                attempt = Attempt(path, began, answer.status, answer.headers.get("X-Node", ""))
            except (OSError, http.client.HTTPException) as fault:
                attempt = Attempt(path, began, 0, "", repr(fault))
                connection.close()
            self.attempts.append(attempt)
        connection.close()

    def count(self, since: float = 0.0, server: str = "") -> int:
        """How many were answered with an image, of those that began after *since*, by *server* or any."""
        return sum(one.status == 200 and one.began > since and server in {"", one.server} for one in self.attempts)

    def failed(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.status != 200]

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)


class FleetCase(SynchronousTestCase):
    """Two nodes of one process each, in front of one origin."""

    delay = "0"  # SHUTDOWN_DELAY

    def setUp(self) -> None:
        def choose(path: str, _: object) -> str:
            time.sleep(SLOW if path.startswith("/slow") else 0)
            return path

        picture = encode(gradient(80, 60), "PNG")
        self.origin = Origin({"/fast.png": picture, "/slow.png": picture}, choose=choose)
        self.addCleanup(self.origin.close)
        self.nodes = [self.node(name) for name in sorted(NAMES)]
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            wait_for(node.answers, "the nodes")

    def node(self, name: str) -> Twistd:
        node = Twistd(
            {
                "KEY": ",".join(key for key, _ in KEYS),
                "SALT": ",".join(salt for _, salt in KEYS),
                "BASE_URL": self.origin.url("/"),
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                "PROCESSES": "1",
                "CACHE_TYPE": "memory",
                "TRUSTED_PROXIES": "127.0.0.1",
                "CUSTOM_RESPONSE_HEADERS": f"X-Node={name}",
                "ACCESS_LOG": "json",
                "SHUTDOWN_DELAY": self.delay,
            }
        )
        self.addCleanup(node.clean)
        _ = node.port  # that of its first start is that of each
        return node

    def balanced(self) -> Balancer:
        balancer = haproxy([node.port for node in self.nodes])
        self.addCleanup(balancer.close)
        return balancer

    def load(self, balancer: Balancer) -> Load:
        load = Load(balancer)
        self.addCleanup(load.stop)
        wait_for(lambda: all(load.count(server=name) > 50 for name in NAMES), "requests to both nodes")
        return load

    def back(self, node: Twistd, name: str, load: Load) -> None:
        """Start *node* again, and wait until the balancer sends it requests."""
        node.start()
        since = time.monotonic()
        wait_for(lambda: load.count(since, name), "requests to the node that came back")


class ShardTests(FleetCase):
    def server_of(self, balancer: Balancer, path: str, method: str = "GET") -> str:
        reply = balancer.get(path, method=method)
        self.assertEqual(reply.status, 200, path)
        return reply.headers["x-node"]

    def each_path_has_one_node(self, balancer: Balancer) -> None:
        paths = range(8, 48)
        shards = {number: self.server_of(balancer, image(number)) for number in paths}
        for number, server in shards.items():
            # Asked for again, without its body, with a query, or by the other key.
            unsigned = f"/w:{number}/plain/fast.png@png"
            self.assertEqual(self.server_of(balancer, image(number), "HEAD"), server)
            self.assertEqual(self.server_of(balancer, f"{image(number)}?again"), server)
            self.assertEqual(self.server_of(balancer, signed(unsigned, SIGNERS[1])), server)
        self.assertEqual(set(shards.values()), NAMES)
        self.assertGreater(min(Counter(shards.values()).values()), len(paths) / 5)
        # Each image was made once: the caches of the nodes hold different ones.
        self.assertEqual(sum(len(self.made(node)) for node in self.nodes), len(paths))

    def made(self, node: Twistd) -> list[str]:
        """The paths of images that *node* has made, by its access log."""

        def lines() -> list[dict[str, object]]:
            return [json.loads(line) for line in node.output().splitlines() if line.startswith('{"time"')]

        known = node.metric('status_codes_total{status="200"}') or 0
        wait_for(lambda: sum(line["status"] == 200 for line in lines()) >= known, "the access log")
        return [str(line["path"]) for line in lines() if "MISS" in str(line["cache"])]

    def test_haproxy_sends_each_path_to_one_node_whatever_its_signature(self) -> None:
        self.each_path_has_one_node(self.balanced())

    def test_nginx_sends_each_path_to_one_node_whatever_its_signature(self) -> None:
        balancer = nginx([node.port for node in self.nodes])
        self.addCleanup(balancer.close)
        self.each_path_has_one_node(balancer)
        self.the_front_is_strict(balancer)
        # A node that is gone: nginx notices by a request that does not connect, which goes to the other one.
        self.nodes[0].stop()
        for number in range(8, 48):
            self.assertEqual(self.server_of(balancer, image(number)), "imgforge-2")

    def the_front_is_strict(self, balancer: Balancer) -> None:
        """TLS, the client's address, and nothing of the operator's."""
        plain = balancer.plain(image(9))
        self.assertEqual(plain.status, 301)
        location = urlsplit(plain.headers["location"])
        self.assertEqual((location.scheme, location.path), ("https", image(9)))
        for path in ("/metrics", "/cache/purge", "/render", "/render/1", "/events", "/debug/top", "/%6detrics"):
            self.assertIn(balancer.get(path).status, {400, 403, 404}, path)
        self.assertIn(balancer.get(image(9), method="PURGE").status, {403, 405})
        self.assertEqual(balancer.get(image(9).replace("plain", "pla1n")).status, 403)
        forged = {"X-Forwarded-For": "203.0.113.1", "Forwarded": "for=203.0.113.2", "X-Request-ID": "forged"}
        self.assertEqual(balancer.get(image(77), forged).status, 200)
        logged = [line for node in self.nodes for line in self.lines(node, image(77))]
        self.assertEqual([line["client"] for line in logged], ["127.0.0.1"])
        self.assertNotEqual(logged[0]["request_id"], "forged")

    def lines(self, node: Twistd, path: str) -> list[dict[str, object]]:
        """The lines of the access log about *path*; a node that has not written its log yet is waited for."""
        self.made(node)
        lines = (json.loads(line) for line in node.output().splitlines() if line.startswith('{"time"'))
        return [line for line in lines if line["path"] == path]

    def test_haproxy_serves_images_only_and_names_the_client(self) -> None:
        balancer = self.balanced()
        self.the_front_is_strict(balancer)
        metrics = balancer.operator("/metrics").body.decode()
        self.assertIn('haproxy_server_status{proxy="imgforge",server="imgforge-2",state="UP"} 1', metrics)
        self.assertEqual(balancer.get("/status").status, 200)
        for node in self.nodes:
            node.stop()
        wait_for(lambda: balancer.get("/status").status == 503, "the fleet's own health check to fail")
        self.assertEqual(balancer.get(image(9)).status, 503)


class LossTests(FleetCase):
    delay = "2"

    def test_killed_node_loses_only_what_was_in_flight_on_it(self) -> None:
        load = self.load(self.balanced())
        node = self.nodes[0]
        assert node.process is not None
        killed = time.monotonic()
        node.process.kill()
        node.process.wait()
        dead = time.monotonic()
        # From the first moment, when HAProxy does not know yet, until its checks have failed and beyond.
        wait_for(lambda: time.monotonic() > dead + 2 and load.count(dead) > 200, "requests without the node")
        failed = load.failed()
        self.assertEqual([one for one in failed if one.began > dead], [])
        self.assertLessEqual(len([one for one in failed if one.began < killed]), 6, failed)  # one for each client
        self.assertEqual(
            {one.server for one in load.attempts if one.status == 200 and one.began > dead}, {"imgforge-2"}
        )
        self.back(node, "imgforge-1", load)
        load.stop()
        self.assertEqual(load.failed(), failed)

    def test_drained_node_loses_nothing(self) -> None:
        balancer = self.balanced()
        load = self.load(balancer)
        node = self.nodes[0]
        assert node.process is not None
        replies: list[tuple[int, str]] = []

        def ask(path: str) -> None:
            reply = balancer.get(path)
            replies.append((reply.status, reply.headers.get("x-node", "")))

        slow = [Thread(target=ask, args=(image(number, "slow"),)) for number in range(8, 16)]
        for thread in slow:
            thread.start()
        wait_for(lambda: "/slow.png" in {path for path, _ in self.origin.requests}, "slow requests at the origin")
        node.process.terminate()
        wait_for(lambda: node.ended, "the end of the node")
        ended = time.monotonic()
        for thread in slow:
            thread.join()
        wait_for(lambda: load.count(ended) > 100, "requests without the node")
        self.back(node, "imgforge-1", load)
        load.stop()
        self.assertEqual(load.failed(), [])
        self.assertEqual(node.process and {status for status, _ in replies}, {200})
        self.assertEqual({server for _, server in replies}, NAMES)


class BoundedLoadTests(SynchronousTestCase):
    """What one popular path may put on a node, with nodes that do nothing but wait."""

    def test_node_with_a_popular_path_gets_at_most_three_times_the_average(self) -> None:
        clients, nodes = 40, [Node() for _ in range(5)]
        for node in nodes:
            self.addCleanup(node.close)
        balancer = haproxy([node.port for node in nodes])
        self.addCleanup(balancer.close)
        for node in nodes:
            node.hold()
        asking = [Thread(target=balancer.get, args=(image(9),)) for _ in range(clients)]
        for thread in asking:
            thread.start()
        wait_for(lambda: sum(node.asked for node in nodes) == clients, "all requests at the nodes")
        for node in nodes:
            node.release()
        for thread in asking:
            thread.join()
        loads = sorted(node.asked for node in nodes)
        self.assertLessEqual(loads[-1], math.ceil(clients * 3 / len(nodes)) + 1)
        self.assertGreater(loads[-1], clients / len(nodes) * 2)  # but it is the first choice
        self.assertGreater(loads[-2], 0)


class Node(LoopbackServer):
    """Counts the requests for images, and is silent while it is held."""

    def __init__(self) -> None:
        self.asked = 0
        node = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                if self.path != "/status":
                    node.asked += 1
                    node.wait()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)
