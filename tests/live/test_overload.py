"""Requests beyond the limits are refused at once, and the others are served."""

from __future__ import annotations

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Reply, Twistd, twistd, wait_for


class SilentOriginTests(SynchronousTestCase):
    def origin(self) -> Origin:
        origin = Origin({f"/{number}.png": encode(gradient(40, 30), "PNG") for number in range(8)})
        self.addCleanup(origin.close)
        return origin

    def test_a_silent_origin_uses_up_its_own_places_only(self) -> None:
        silent, lively = self.origin(), self.origin()
        silent.hold()
        with (
            twistd(
                PROCESSES="1", WORKERS="1", REQUESTS_QUEUE_SIZE="2", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true"
            ) as server,
            ThreadPoolExecutor(3) as clients,
        ):

            def ask(origin: Origin, number: int) -> Reply:
                return server.get(f"/unsafe/w:20/plain/{quote(origin.url(f'/{number}.png'), safe='')}")

            waiting = [clients.submit(ask, silent, number) for number in range(3)]
            wait_for(lambda: len(silent.requests) == 3, "three requests at the silent origin")
            refused = ask(silent, 3)
            self.assertEqual((refused.status, refused.headers["retry-after"]), (429, "1"))
            self.assertEqual(len(silent.requests), 3)
            for number in range(3):
                self.assertEqual(ask(lively, number).status, 200)
            wait_for(
                lambda: b'refusals_total{reason="origin"} 1.0' in server.get("/metrics").body,
                "the refusal in the metrics",
            )
            silent.release()
            self.assertEqual([each.result().status for each in waiting], [200] * 3)
            self.assertEqual(ask(silent, 3).status, 200)


WORKERS, QUEUE = 2, 6
CAPACITY = WORKERS + QUEUE
CLIENTS = 4 * CAPACITY


class OverloadTests(SynchronousTestCase):
    """Four times as many cache misses at once as the limits admit."""

    def setUp(self) -> None:
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        noise = np.random.default_rng(1).integers(0, 255, (1200, 1600, 3), dtype=np.uint8)
        Path(root.name, "a.png").write_bytes(encode(Image.fromarray(noise), "PNG"))
        self.origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")})
        self.addCleanup(self.origin.close)
        self.server = Twistd(
            {
                "PROCESSES": "1",
                "WORKERS": str(WORKERS),
                "REQUESTS_QUEUE_SIZE": str(QUEUE),
                "CACHE_TYPE": "memory",
                "TIMEOUT": "60",
                "DOWNLOAD_TIMEOUT": "60",
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                "LOCAL_FILESYSTEM_ROOT": root.name,
            }
        )
        self.addCleanup(self.server.clean)
        self.server.start()
        self.hit = f"/unsafe/w:9/plain/{quote(self.origin.url('/a.png'), safe='')}"
        self.assertEqual(self.server.get(self.hit).status, 200)

    def assert_responsive(self) -> None:
        """The health check and cache hits are answered."""
        self.assertEqual(self.server.get("/status").status, 200)
        hit = self.server.get(self.hit)
        self.assertEqual(hit.status, 200)
        self.assertIn("HIT memory", hit.headers["cache-status"])

    def assert_refusals(self, replies: list[Reply]) -> None:
        for reply in replies:
            self.assertEqual((reply.status, reply.headers["retry-after"]), (429, "1"))
            self.assertEqual((reply.headers["content-type"], reply.body.count(b"\n")), ("text/plain; charset=utf-8", 1))

    def test_requests_beyond_the_limit_are_refused_while_the_others_wait(self) -> None:
        self.origin.hold()
        replies: list[Reply] = []

        def ask(number: int) -> None:
            path = f"/unsafe/w:{10 + number}/cb:{number}/plain/{quote(self.origin.url('/a.png'), safe='')}"
            replies.append(self.server.get(path + f"%3F{number}"))

        with ThreadPoolExecutor(CLIENTS) as clients:
            asked = [clients.submit(ask, number) for number in range(CLIENTS)]
            wait_for(lambda: len(replies) >= CLIENTS - CAPACITY, "the refusals")
            refused = list(replies)
            wait_for(lambda: len(self.origin.requests) >= 1 + CAPACITY, "the others at the origin")
            self.assert_responsive()
            self.assertEqual(len(self.origin.requests), 1 + CAPACITY)
            self.assertEqual(len(replies), CLIENTS - CAPACITY)
            self.origin.release()
            for one in asked:
                one.result()
        self.assert_refusals(refused)
        self.assertEqual([reply.status for reply in replies[len(refused) :]], [200] * CAPACITY)
        wait_for(
            lambda: self.server.metric('refusals_total{reason="origin"}') == CLIENTS - CAPACITY,
            "the refusals in the metrics",
        )
        ask(CLIENTS)
        self.assertEqual(replies[-1].status, 200)

    def test_slow_renders_leave_no_memory_or_threads_behind(self) -> None:
        def ask(number: int) -> Reply:
            return self.server.get(f"/unsafe/w:1500/bl:20/cb:{number}/plain/local:///a.png@png")

        self.assertEqual(ask(0).status, 200)
        memory, threads, most = self.server.resident(), self.server.threads(), 0
        with ThreadPoolExecutor(CLIENTS) as clients:
            asked = [clients.submit(ask, number) for number in range(1, 2 * CLIENTS)]
            while not all(one.done() for one in asked):
                self.assert_responsive()
                most = max(most, self.server.threads())
            replies = [one.result() for one in asked]
        statuses = Counter(reply.status for reply in replies)
        self.assertEqual(set(statuses), {200, 429})
        self.assertGreaterEqual(statuses[200], CAPACITY)
        self.assert_refusals([reply for reply in replies if reply.status != 200])
        self.assertEqual(len({reply.body for reply in replies if reply.status == 200}), 1)
        # The render threads and ten for files, however many requests there are.
        self.assertLessEqual(most, threads + WORKERS + 10)
        for name in ("image_operations_active", "image_operations_waiting"):
            self.assertEqual(self.server.metric(name + '{operation="process"}'), 0)
        wait_for(lambda: self.server.resident() < memory + (32 << 20), "the memory")
        self.assertEqual(ask(2 * CLIENTS).status, 200)
