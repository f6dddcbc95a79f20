"""The task of Celery's workers on a real Redis, run here: what it puts back into the queue."""

from __future__ import annotations

import time

import msgspec
from kombu.entity import Queue
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings
from imgforge.queue import BrokerQueue, RenderJob, make_app
from imgforge.service.render_task import render
from tests.support.brokers import RedisBroker


class WaitingTests(SynchronousTestCase):
    def setUp(self) -> None:
        broker = RedisBroker()
        self.addCleanup(broker.close)
        broker.start()
        environment = {
            "IMGFORGE_QUEUE_URL": broker.url,
            "IMGFORGE_CACHE_TYPE": "disk",
            "IMGFORGE_CACHE_DISK_PATH": str(broker.directory),
        }
        self.app = make_app(load_settings(None, environment))
        self.queue = BrokerQueue(self.app)
        self.addCleanup(self.queue.close)

    def next_path(self) -> str:
        """The path of the job that a worker would take next."""
        with self.app.connection_for_read() as connection, connection.channel() as channel:
            message = Queue("imgforge")(channel).get(no_ack=True)
            assert message is not None
            (document,), _, _ = message.payload
            return str(document["path"])

    def test_a_new_image_is_made_before_those_that_wait_for_another_try(self) -> None:
        for number in range(3):
            job = msgspec.to_builtins(RenderJob(f"/waiting/{number}"))
            render.apply(args=[job], kwargs={"not_before": time.time() + 60})
        self.queue.add([RenderJob("/new")])
        self.assertEqual(self.queue.depth()["pending"], 4)
        self.assertEqual([self.next_path() for _ in range(4)], ["/new", "/waiting/0", "/waiting/1", "/waiting/2"])
