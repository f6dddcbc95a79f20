"""Workers that are killed while they decode a certain source: what is quarantined."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import tempfile
from threading import Event, Thread
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Reply, Twistd, wait_for

_AT_WORK = 'image_operations_active{operation="process"}'


class QuarantineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.origin = Origin(
            {"/large.jpg": encode(gradient(4000, 3000), "JPEG"), "/small.jpg": encode(gradient(40, 30), "JPEG")}
        )
        self.addCleanup(self.origin.close)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.settings = {
            "PROCESSES": "2",
            "WORKERS": "2",
            "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
            "CACHE_TYPE": "hybrid",
            "CACHE_DISK_PATH": scratch.name,
        }

    def server(self, **settings: str) -> Twistd:
        server = Twistd(self.settings | settings)
        self.addCleanup(server.clean)
        return server.start()

    def ask(self, server: Twistd, options: str, path: str) -> Reply:
        return server.get(f"/unsafe/{options}/plain/{quote(self.origin.url(path), safe='')}")

    def kill_at_work(self, server: Twistd, number: int = signal.SIGSEGV, clients: int = 1) -> None:
        """Send all workers a signal while *clients* wait for the large picture, and wait for other workers."""

        def long_work(width: int) -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask(server, f"bl:200/el:1/w:{4000 + width}", "/large.jpg")

        asking = [Thread(target=long_work, args=(width,)) for width in range(clients)]
        for client in asking:
            client.start()
        wait_for(lambda: (server.metric(_AT_WORK) or 0) >= 1.0, "the work")
        before = server.children()
        for worker in before:
            os.kill(worker, number)
        for client in asking:
            client.join()
        wait_for(lambda: len(set(server.children()) - set(before)) == 2 and server.answers(), "two other workers")

    def test_source_that_crashed_a_worker_is_quarantined_also_by_the_next_server(self) -> None:
        server = self.server()
        cached = self.ask(server, "w:19", "/large.jpg")
        self.assertEqual(cached.status, 200)
        self.kill_at_work(server)
        refused = self.ask(server, "w:20", "/large.jpg")
        self.assertEqual(refused.status, 422)
        self.assertEqual(refused.body.count(b"\n"), refused.body.endswith(b"\n"))
        self.assertEqual(self.ask(server, "w:20", "/small.jpg").status, 200)
        # From the disk, from the memory, by the fast lane.
        self.assertEqual([self.ask(server, "w:19", "/large.jpg").body for _ in range(6)], [cached.body] * 6)
        wait_for(lambda: server.metric('refusals_total{reason="quarantine"}') == 1.0, "the refusal in the metrics")
        wait_for(lambda: server.metric("quarantined_sources") == 1.0, "the source in the metrics")
        server.assert_logged("quarantined for 600 s")
        self.assertEqual(server.stop(), 0)
        second = self.server()
        wait_for(lambda: self.ask(second, "w:21", "/large.jpg").status == 422, "the last server's quarantine")
        self.assertEqual(self.ask(second, "w:21", "/small.jpg").status, 200)

    def test_worker_that_is_killed_from_outside_quarantines_no_source(self) -> None:
        server = self.server()
        self.kill_at_work(server, signal.SIGKILL, clients=6)
        for width in range(20, 30):
            self.assertEqual(self.ask(server, f"w:{width}", "/large.jpg").status, 200)
        self.assertEqual(server.metric("quarantined_sources"), 0.0)
        server.assert_logged("suspects, to be decoded one at a time")

    def test_suspect_that_is_decoded_at_the_next_death_is_quarantined(self) -> None:
        server = self.server()
        self.kill_at_work(server, signal.SIGKILL)
        self.kill_at_work(server, signal.SIGKILL)
        self.assertEqual(self.ask(server, "w:20", "/large.jpg").status, 422)
        self.assertEqual(self.ask(server, "w:20", "/small.jpg").status, 200)

    def test_quarantine_can_be_switched_off(self) -> None:
        server = self.server(QUARANTINE_SECONDS="0")
        self.kill_at_work(server)
        self.assertEqual(self.ask(server, "w:20", "/large.jpg").status, 200)

    def test_worker_killed_under_load_on_one_source_fails_only_its_own_requests(self) -> None:
        server = self.server()
        done, kills = Event(), 3
        statuses: list[int] = []
        numbers = itertools.count(100)

        def ask() -> None:
            while not done.is_set():
                try:
                    statuses.append(self.ask(server, f"w:{next(numbers)}", "/large.jpg").status)
                except (OSError, http.client.HTTPException):
                    statuses.append(0)

        def answered(count: int) -> None:
            """Each is new, so that the source is at work all the time."""
            wanted = statuses.count(200) + count
            wait_for(lambda: statuses.count(200) >= wanted, "answers")

        clients = [Thread(target=ask) for _ in range(8)]
        for client in clients:
            client.start()
        for _ in range(kills):
            answered(24)
            before = set(server.children())
            os.kill(min(before), signal.SIGKILL)
            wait_for(lambda before=before: len(set(server.children()) - before) == 1, "another worker")  # type: ignore[misc]
        answered(24)
        done.set()
        for client in clients:
            client.join()
        self.assertEqual(set(statuses) - {0}, {200})
        self.assertLessEqual(statuses.count(0), kills * len(clients))
