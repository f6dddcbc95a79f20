"""The embedded queue: leases, retries, failures, and files that somebody else has written."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import QueueFailed
from imgforge.queue import Claim, EmbeddedQueue, RenderJob, jobs_of, new_request_id

LEASE = 6.0
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class QueueCase(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = str(Path(scratch.name, "queue"))
        self.now = 1_700_000_000.0
        self.queue = self.opened()

    def opened(self) -> EmbeddedQueue:
        queue = EmbeddedQueue(self.directory, clock=lambda: self.now)
        self.addCleanup(queue.close)
        return queue

    def claim(self, queue: EmbeddedQueue | None = None) -> Claim:
        claim = (queue or self.queue).claim(LEASE)
        assert claim is not None
        return claim

    def add(self, *paths: str) -> str:
        jobs = jobs_of(paths)
        self.queue.add(jobs)
        return jobs[0].request

    def counts(self) -> tuple[int, int, int, int]:
        status = self.queue.status()
        return status.pending, status.running, status.done, status.failed


class LifeTests(QueueCase):
    def test_jobs_come_in_the_order_in_which_they_were_added(self) -> None:
        self.add("/1", "/2")
        self.add("/3")
        claims = [self.claim() for _ in range(3)]
        self.assertEqual([claim.job.path for claim in claims], ["/1", "/2", "/3"])
        self.assertIsNone(self.queue.claim(LEASE))
        self.assertEqual(self.counts(), (0, 3, 0, 0))
        for claim in claims:
            self.queue.done(claim)
        self.assertEqual(self.counts(), (0, 0, 3, 0))

    def test_the_job_of_a_process_that_died_is_taken_after_its_lease(self) -> None:
        self.add("/1")
        self.assertEqual(self.claim().job.tries, 1)
        self.now += LEASE - 0.1
        self.assertIsNone(self.queue.claim(LEASE))
        self.now += 0.2
        self.assertEqual(self.counts(), (1, 0, 0, 0))
        self.assertEqual(self.claim(self.opened()).job.tries, 2)

    def test_a_renewed_lease_holds(self) -> None:
        self.add("/1")
        claim = self.claim()
        for _ in range(3):
            self.now += LEASE / 2
            self.queue.renew([claim], LEASE)
        self.assertIsNone(self.queue.claim(LEASE))

    def test_a_claim_that_another_replaced_settles_nothing(self) -> None:
        self.add("/1")
        old = self.claim()
        self.now += LEASE + 1
        new = self.claim()
        for settle in (self.queue.done, self.queue.release, lambda claim: self.queue.put_aside(claim, "late")):
            settle(old)
        self.queue.renew([old], 100)
        self.assertEqual(self.counts(), (0, 1, 0, 0))
        self.queue.done(new)
        self.queue.done(new)
        self.assertEqual(self.counts(), (0, 0, 1, 0))

    def test_a_failed_job_waits_and_is_tried_again(self) -> None:
        self.add("/1")
        self.queue.again(self.claim(), "503: no", 4)
        self.assertEqual(self.counts(), (1, 0, 0, 0))
        self.now += 3.9
        self.assertIsNone(self.queue.claim(LEASE))
        self.now += 0.2
        job = self.claim().job
        self.assertEqual((job.tries, job.reason), (2, "503: no"))

    def test_a_job_that_is_given_back_has_lost_no_try(self) -> None:
        self.add("/1")
        self.queue.release(self.claim())
        self.assertEqual(self.claim().job.tries, 1)

    def test_a_job_that_is_given_back_goes_behind_the_others(self) -> None:
        self.add("/heavy", "/light")
        heavy = self.claim()
        self.queue.release(heavy)
        self.queue.release(heavy)  # it holds no more
        self.assertEqual([self.claim().job.path for _ in range(2)], ["/light", "/heavy"])
        self.assertEqual(self.queue.status().pending, 0)

    def test_a_job_that_was_put_aside_is_listed_and_can_be_put_back(self) -> None:
        request = self.add("/1", "/2")
        self.queue.put_aside(self.claim(), "422: no image")
        self.assertEqual(self.counts(), (1, 0, 0, 1))
        (failure,) = self.queue.status().failures
        self.assertEqual(
            (failure.path, failure.reason, failure.tries, failure.request), ("/1", "422: no image", 1, request)
        )
        self.assertEqual(self.queue.status(0).failures, [])
        self.assertEqual(self.queue.retry(), 1)
        self.assertEqual(self.counts(), (2, 0, 0, 0))
        self.assertEqual(self.claim().job.path, "/2")
        self.assertEqual(self.claim().job, RenderJob("/1", request).tried())

    def test_all_of_it_is_there_after_a_restart(self) -> None:
        self.add("/1", "/2", "/3")
        self.queue.done(self.claim())
        self.queue.put_aside(self.claim(), "404: gone")
        self.queue.close()
        self.queue = self.opened()
        self.assertEqual(self.counts(), (1, 0, 1, 1))

    def test_several_processes_take_each_job_once(self) -> None:
        self.add(*map(str, range(200)))
        taken: Counter[str] = Counter()

        def work() -> None:
            queue = self.opened()
            while (claim := queue.claim(LEASE)) is not None:
                taken[claim.job.path] += 1
                queue.done(claim)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual(set(taken.values()), {1})
        self.assertEqual(self.counts(), (0, 0, 200, 0))

    def test_processes_that_come_and_go_see_the_same_queue(self) -> None:
        """SQLite's locks are a process': one that closes the file beside another connection would drop its locks."""
        program = "import sys; from imgforge.queue import EmbeddedQueue; q = EmbeddedQueue(sys.argv[1])"
        command = [sys.executable, "-c", f"{program}; print(q.status().pending); q.close()", self.directory]

        def seen_by_another() -> int:
            return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

        self.add("/1")
        self.assertEqual(self.opened().status().pending, 1)  # a second connection of this process
        for number in range(2, 5):
            self.assertEqual(seen_by_another(), number - 1)
            self.add(f"/{number}")


class RequestTests(QueueCase):
    def test_each_request_has_its_own_counts(self) -> None:
        first, second = self.add("/1", "/2", "/3"), self.add("/4")
        self.queue.done(self.claim())
        self.queue.put_aside(self.claim(), "404: gone")
        self.claim()
        status, other = self.queue.request(first), self.queue.request(second)
        assert status is not None
        assert other is not None
        self.assertEqual((status.pending, status.running, status.done, status.failed), (0, 1, 1, 1))
        self.assertEqual([failure.path for failure in status.failures], ["/2"])
        self.assertEqual((other.pending, other.running, other.done, other.failed), (1, 0, 0, 0))

    def test_an_unknown_request_is_none(self) -> None:
        for name in (new_request_id(1), "", "x", "a" * 1000):
            self.assertIsNone(self.queue.request(name))

    def test_a_job_of_no_request_is_counted_in_all(self) -> None:
        self.queue.add([RenderJob("/1"), RenderJob("/2")])
        self.queue.done(self.claim())
        self.queue.put_aside(self.claim(), "no")
        self.assertEqual(self.counts(), (0, 0, 1, 1))

    def test_the_trace_of_a_request_is_kept_beside_its_jobs_which_older_workers_read(self) -> None:
        jobs = jobs_of(["/1", "/2"])
        self.queue.add(jobs, TRACEPARENT)
        self.add("/3")
        with sqlite3.connect(next(Path(self.directory).glob("*.sqlite"))) as file:
            documents = [bytes(document) for (document,) in file.execute("select data from task order by id")]
        self.assertFalse([one for one in documents if TRACEPARENT.encode() in one])
        first, second = self.claim(), self.claim()
        self.queue.again(first, "503: not now", 1.0)
        self.assertEqual(
            (first.traceparent, second.traceparent, self.claim().traceparent), (TRACEPARENT, TRACEPARENT, "")
        )
        self.now += 2
        self.assertEqual(self.claim().traceparent, TRACEPARENT)
        self.now = 4e9
        self.add("/4")
        with sqlite3.connect(next(Path(self.directory).glob("*.sqlite"))) as file:
            self.assertEqual(file.execute("select count(*) from kv").fetchone(), (0,))

    def test_a_trace_that_is_none_is_not_told(self) -> None:
        for value in (b"\xff" * 55, b"x" * 10_000_000, f"{TRACEPARENT}\n", 7):
            self.queue.add(jobs_of(["/1"]), TRACEPARENT)
            with sqlite3.connect(next(Path(self.directory).glob("*.sqlite"))) as file:
                file.execute("update kv set value = ?", (value,))
            self.assertEqual(self.claim().traceparent, "")

    def test_old_requests_are_forgotten(self) -> None:
        old = self.add("/1")
        self.now = 4e9
        self.add("/2")
        self.assertIsNone(self.queue.request(old))
        self.queue.done(self.claim())
        self.assertEqual(self.queue.status().done, 1)


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


class HostileFileTests(QueueCase):
    def file(self) -> Path:
        return next(Path(self.directory).glob("*.sqlite"))

    def test_the_file_is_its_owner_s_alone(self) -> None:
        self.add("/1")
        self.assertEqual(self.file().stat().st_mode & 0o077, 0)

    def test_rows_that_are_no_jobs_are_dropped_and_run_nothing(self) -> None:
        trap = str(Path(self.directory, "trap"))
        self.add("/1")
        self.queue.close()
        with sqlite3.connect(self.file()) as connection:
            rows = [pickle.dumps(_Bomb(trap)), "text", 5, b"{}", b'{"path": "/x", "tries": "many"}']
            for queue in ("pending", "failed:x"):
                connection.executemany("insert into task (queue, data) values (?, ?)", [(queue, row) for row in rows])
            for queue in ("running", "waiting"):
                connection.executemany(
                    "insert into schedule (queue, data, timestamp) values (?, ?, 0)", [(queue, row) for row in rows]
                )
        connection.close()
        self.assertEqual(self.queue.status().failures, [])
        self.assertEqual(self.claim().job.path, "/1")
        self.assertIsNone(self.queue.claim(LEASE))
        self.assertEqual(self.queue.retry(), 0)
        self.assertEqual(self.counts(), (0, 1, 0, 0))
        self.assertFalse(os.path.exists(trap))

    def test_a_damaged_file_is_an_error_in_one_line(self) -> None:
        self.add("/1")
        self.queue.close()
        for path in Path(self.directory).iterdir():
            path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
        for use in (self.queue.status, self.queue.retry, lambda: self.queue.claim(LEASE), lambda: self.add("/2")):
            error = self.assertRaises(QueueFailed, use)
            self.assertEqual(error.message, "the queue in IMGFORGE_QUEUE_PATH cannot be used")
            self.assertIn("file is not a database", error.logged)

    def test_a_directory_that_cannot_be_made_is_an_error_in_one_line(self) -> None:
        Path(self.directory).write_text("a file")
        self.assertRaises(QueueFailed, self.queue.status)
