"""The queue of a fleet on a real Redis, without workers."""

from __future__ import annotations

import json

from kombu.connection import Connection
from redis import Redis
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings
from imgforge.queue import BrokerQueue, QueueStatus, RenderJob, make_app, new_request_id
from tests.support.brokers import RedisBroker


class RequestTests(SynchronousTestCase):
    def setUp(self) -> None:
        broker = RedisBroker()
        self.addCleanup(broker.close)
        broker.start()
        self.url = broker.url
        self.redis = Redis.from_url(broker.url)
        self.addCleanup(self.redis.close)
        environment = {
            "IMGFORGE_QUEUE_URL": broker.url,
            "IMGFORGE_CACHE_TYPE": "disk",
            "IMGFORGE_CACHE_DISK_PATH": str(broker.directory),
        }
        self.now = 1_700_000_000.0
        self.queue = BrokerQueue(make_app(load_settings(None, environment)), clock=lambda: self.now)
        self.addCleanup(self.queue.close)

    def status(self, request: str) -> QueueStatus:
        status = self.queue.request(request)
        assert status is not None
        return status

    def taken(self) -> int:
        """How many times a message was taken off a queue."""
        statistics = self.redis.info("commandstats")
        assert isinstance(statistics, dict)
        return int(statistics.get("cmdstat_rpop", {"calls": 0})["calls"])

    def test_a_request_s_failures_are_counted_without_taking_all_of_them_off_the_queue(self) -> None:
        ours, other = new_request_id(2), new_request_id(700)
        jobs = [RenderJob("/ours/1", ours), RenderJob("/ours/2", ours)]
        self.queue.add(jobs)
        self.queue.done(jobs[0])
        for number in range(700):
            self.queue.put_aside(RenderJob(f"/{number}", other), "404: gone")
        before = self.taken()
        self.assertEqual((self.status(ours).pending, self.status(ours).failed), (1, 0))
        self.assertEqual(self.taken(), before)  # it has none that could be listed
        self.queue.put_aside(jobs[1], "404: gone")
        status = self.status(ours)
        self.assertEqual((status.pending, status.done, status.failed), (0, 1, 1))
        scanned = self.taken() - before
        self.assertLessEqual(scanned, 500)
        self.assertGreater(scanned, 0)
        self.assertEqual(self.queue.depth()["failed"], 701)

    def test_the_failures_that_are_listed_are_remembered_for_seconds(self) -> None:
        request = new_request_id(2)
        jobs = [RenderJob("/1", request), RenderJob("/2", request)]
        self.queue.add(jobs)
        self.queue.put_aside(jobs[0], "404: gone")
        self.assertEqual([failure.path for failure in self.status(request).failures], ["/1"])
        before = self.taken()
        self.queue.put_aside(jobs[1], "404: gone")
        status = self.status(request)
        self.assertEqual((status.failed, len(status.failures), self.taken()), (2, 1, before))
        self.now += 10
        self.assertEqual({failure.path for failure in self.status(request).failures}, {"/1", "/2"})

    def traces(self) -> list[object]:
        """The traces that the jobs in the queue name, in order."""
        messages = [json.loads(message) for message in self.redis.lrange("imgforge", 0, -1)]
        return [message["headers"].get("traceparent") for message in reversed(messages)]

    def test_what_is_put_back_keeps_the_trace_of_its_request(self) -> None:
        traced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.queue.put_aside(RenderJob("/1"), "404: gone", traced)
        self.queue.put_aside(RenderJob("/2"), "404: gone")
        with Connection(self.url) as connection, connection.Producer() as producer:
            for found in ("00-nonsense", 7):
                producer.publish({"path": "/3"}, routing_key="imgforge.failed", headers={"traceparent": found})
        self.assertEqual(self.queue.retry(), 4)
        self.assertEqual(self.traces(), [traced, None, None, None])

    def test_what_is_put_back_is_not_counted_as_failed(self) -> None:
        request = new_request_id(2)
        jobs = [RenderJob("/1", request), RenderJob("/2", request)]
        self.queue.add(jobs)
        for job in jobs:
            self.queue.put_aside(job, "404: gone")
        self.assertEqual(self.status(request).failed, 2)
        self.assertEqual(self.queue.retry(), 2)
        self.assertEqual((self.status(request).pending, self.status(request).failed), (2, 0))
