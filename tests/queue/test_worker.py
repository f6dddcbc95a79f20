"""The worker of the embedded queue, with the reactor, a real queue, and jobs that do as a test tells them."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from imgforge.errors import QueueFailed
from imgforge.interfaces import IServerReactor
from imgforge.queue import (
    Claim,
    EmbeddedQueue,
    EmbeddedWorker,
    JobFailed,
    RenderJob,
    WorkerSettings,
    jobs_of,
    worker,
)
from tests.support.logged_lines import logged_lines

reactor = cast("IServerReactor", installed)


class Outcomes(Counter[str]):
    def prerendered(self, outcome: str) -> None:
        self[outcome] += 1


class WorkerTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name
        self.queue = EmbeddedQueue(scratch.name)
        self.addCleanup(self.queue.close)
        self.outcomes = Outcomes()
        self.made: list[RenderJob] = []
        self.patch(worker, "backoff", lambda tries: 0.01 * tries)

    def worker(
        self, make: Callable[[RenderJob, str], Coroutine[Deferred[Any], Any, None]], **settings: Any
    ) -> EmbeddedWorker:
        chosen = WorkerSettings(**{"drains": True, "poll": 0.01, **settings})
        return EmbeddedWorker(reactor, EmbeddedQueue(self.directory), make, chosen, self.outcomes)

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await deferLater(reactor, 0.01)

    async def drain(self, work: EmbeddedWorker) -> None:
        try:
            await work.start()
        finally:
            await work.stop()

    async def make(self, job: RenderJob, _traceparent: str) -> None:
        self.made.append(job)

    async def test_all_jobs_are_made_and_the_worker_ends(self) -> None:
        self.queue.add(jobs_of([f"/{number}" for number in range(20)]))
        await self.drain(self.worker(self.make, concurrency=3))
        self.assertEqual(sorted(job.path for job in self.made), sorted(f"/{number}" for number in range(20)))
        self.assertEqual(self.outcomes, {"done": 20})
        self.assertEqual(self.queue.status().done, 20)

    async def test_at_most_so_many_at_once(self) -> None:
        under_way: set[str] = set()
        most = 0

        async def make(job: RenderJob, _traceparent: str) -> None:
            nonlocal most
            under_way.add(job.path)
            most = max(most, len(under_way))
            await self.until(lambda: most == 4)  # the others come, if they may
            await deferLater(reactor, 0.01)
            under_way.discard(job.path)

        self.queue.add(jobs_of([f"/{number}" for number in range(12)]))
        await self.drain(self.worker(make, concurrency=4))
        self.assertEqual(most, 4)

    async def test_a_failure_that_may_pass_is_tried_again_as_often_as_allowed(self) -> None:
        async def make(job: RenderJob, _traceparent: str) -> None:
            self.made.append(job)
            if job.path == "/never" or len(self.made) < 3:
                raise JobFailed("503: not now", again=True)

        self.queue.add(jobs_of(["/later"]))
        await self.drain(self.worker(make, max_retries=2))
        self.assertEqual([job.tries for job in self.made], [1, 2, 3])
        self.assertEqual(self.outcomes, {"retried": 2, "done": 1})
        self.queue.add(jobs_of(["/never"]))
        await self.drain(self.worker(make, max_retries=2))
        (failure,) = self.queue.status().failures
        self.assertEqual((failure.path, failure.tries, failure.reason), ("/never", 3, "503: not now"))

    async def test_a_final_failure_is_put_aside_at_once(self) -> None:
        async def make(job: RenderJob, _traceparent: str) -> None:
            self.made.append(job)
            raise JobFailed("422: no image", again=False)

        self.queue.add(jobs_of(["/bad"]))
        await self.drain(self.worker(make))
        self.assertEqual(len(self.made), 1)
        self.assertEqual(self.queue.status().failures[0].reason, "422: no image")

    async def test_an_unexpected_error_is_logged_and_tried_again(self) -> None:
        async def make(job: RenderJob, _traceparent: str) -> None:
            if job.tries == 1:
                raise ZeroDivisionError("a bug")

        self.queue.add(jobs_of(["/1"]))
        await self.drain(self.worker(make))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.outcomes, {"retried": 1, "done": 1})

    async def test_lines_name_paths_without_the_secrets_of_their_sources(self) -> None:
        lines = logged_lines(self, "imgforge.queue")
        kinds = {"/s/plain/http://me:hush@o/a?token=hush": True, "/s/plain/http%3A%2F%2Fme%3Ahush%40o%3Fhush": False}

        async def make(job: RenderJob, _traceparent: str) -> None:
            if kinds[job.path] and job.tries == 1:
                raise ZeroDivisionError("a bug")
            raise JobFailed("422: no image", again=False)

        self.queue.add(jobs_of(list(kinds)))
        await self.drain(self.worker(make))
        self.flushLoggedErrors(ZeroDivisionError)
        ends = "beforehand: 422: no image; `imgforge render retry` tries it again"
        self.assertEqual(
            {line.partition("\n")[0] for line in lines},
            {
                "an unexpected error kept /s/plain/http://***@o/a... from being made",
                f"cannot make /s/plain/http://***@o/a... {ends}",
                f"cannot make /s/plain/http%3A%2F%2F***@o... {ends}",
            },
        )

    async def test_an_image_that_ends_each_process_is_put_aside(self) -> None:
        self.queue.add(jobs_of(["/killer"]))
        for _ in range(3):  # processes that die while they have it
            self.assertIsNotNone(self.queue.claim(0.0))
        await self.drain(self.worker(self.make, max_retries=2))
        self.assertEqual(self.made, [])
        self.assertIn("ended", self.queue.status().failures[0].reason)

    async def test_a_worker_that_yields_or_stops_gives_its_job_back(self) -> None:
        begun, cancelled = 0, 0

        async def make(_: RenderJob, _traceparent: str) -> None:
            nonlocal begun, cancelled
            begun += 1
            try:
                await Deferred()
            except CancelledError:
                cancelled += 1
                raise

        self.queue.add(jobs_of(["/long"]))
        work = self.worker(make, drains=False)
        ended = work.start()
        await self.until(lambda: begun == 1)
        work.yield_now()
        await self.until(lambda: begun == 2)  # as nothing keeps it from beginning anew
        await work.stop()
        await ended
        self.assertEqual((begun, cancelled, sum(self.outcomes.values())), (2, 2, 0))
        status = self.queue.status()
        self.assertEqual((status.pending, status.running), (1, 0))
        claim = self.queue.claim(1)
        assert claim is not None
        self.assertEqual(claim.job.tries, 1)

    async def test_no_job_begins_while_something_else_needs_the_processor(self) -> None:
        busy, asked = True, 0

        def may_begin() -> bool:
            nonlocal asked
            asked += 1
            return not busy

        self.queue.add(jobs_of(["/1"]))
        work = self.worker(self.make, drains=False, may_begin=may_begin)
        ended = work.start()
        await self.until(lambda: asked > 5)
        self.assertEqual(self.made, [])
        busy = False
        await self.until(lambda: self.outcomes["done"] == 1)
        await work.stop()
        await ended

    async def test_a_lease_is_renewed_while_a_job_is_made(self) -> None:
        self.patch(worker, "_LEASE", 0.3)  # by the reactor, which renews it
        now = [1000.0]  # by the queues
        renewals: list[float] = []

        class Renewing(EmbeddedQueue):
            def renew(self, claims: Iterable[Claim], lease: float) -> None:
                begun = now[0]
                super().renew(claims, lease)
                renewals.append(begun)

        own, rival = (kind(self.directory, clock=lambda: now[0]) for kind in (Renewing, EmbeddedQueue))
        self.addCleanup(rival.close)
        taken: list[object] = []

        async def make(_job: RenderJob, _traceparent: str) -> None:
            for _ in range(8):
                now[0] += 0.2
                await self.until(lambda: now[0] in renewals)
                taken.append(rival.claim(1))

        rival.add(jobs_of(["/long"]))
        settings = WorkerSettings(drains=True, poll=0.01)
        await self.drain(EmbeddedWorker(reactor, own, make, settings, self.outcomes))
        self.assertEqual(taken, [None] * 8)
        self.assertEqual(self.outcomes, {"done": 1})

    async def test_a_queue_that_cannot_be_used_ends_a_worker_that_drains(self) -> None:
        self.queue.close()
        self.directory += "/queue"
        with open(self.directory, "w") as file:
            file.write("no directory")
        with self.assertRaises(QueueFailed):
            await self.drain(self.worker(self.make))
