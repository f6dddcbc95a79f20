"""Pre-rendering by Celery on real brokers: workers are killed and brokers restart, and no image is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.brokers import Broker, RabbitBroker, RedisBroker
from tests.support.process import wait_for
from tests.support.queue_case import QueueCase

_CELERY = [sys.executable, "-m", "celery", "-A", "imgforge.queue", "--quiet", "worker", "-l", "INFO", "-c", "2"]


class FleetCase(QueueCase):
    broker_type: type[Broker]

    def setUp(self) -> None:
        super().setUp()
        self.broker = self.broker_type()
        self.addCleanup(self.broker.close)
        self.broker.start()
        # Redis gives the message of a silent worker to another after a time that follows this limit.
        self.settings |= {
            "QUEUE_URL": self.broker.url,
            "TIMEOUT": "2",
            "DOWNLOAD_TIMEOUT": "2",
            "QUEUE_MAX_RETRIES": "4",
        }

    def celery(self) -> subprocess.Popen[bytes]:
        return self.background(_CELERY)

    def log(self) -> str:
        return (self.scratch / "worker.log").read_text("utf-8", "replace")

    def children(self, process: subprocess.Popen[bytes]) -> list[int]:
        tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
        return sorted({int(pid) for task in tasks for pid in task.read_text().split()})

    def lose_nothing(self) -> None:
        """A worker is killed, the broker restarts, and a process of another worker is killed: all images are made."""
        paths = [self.path(n) for n in range(6)]
        request = self.render("add", *paths)["id"]
        self.assertEqual(self.render("add", self.path(50), self.path(51))["queued"], 2)
        self.origin.hold()
        first = self.celery()
        wait_for(lambda: len(self.asked) >= 2, "two images under way")
        os.killpg(first.pid, signal.SIGKILL)  # as when the machine goes away
        first.wait()
        self.broker.stop()
        self.broker.start()
        begun = len(self.asked)
        second = self.celery()
        wait_for(lambda: len(self.asked) >= begun + 2, "two more under way")
        os.kill(self.children(second)[0], signal.SIGKILL)  # as when a decoder crashes
        self.origin.release()
        server = self.server()
        wait_for(lambda: self.state(server, request)["done"] == 6, "the images")
        state = self.state(server, request)
        self.assertEqual((state["pending"], state["running"], state["failed"]), (0, 0, 0))
        self.assert_cached(server, *paths)
        wait_for(lambda: self.render("status")["failed"] == 2, "those that are not there")
        status = self.render("status")
        self.assertEqual((status["pending"], status["running"]), (0, 0))
        self.assertGreaterEqual(status["done"], 6)
        failures = {failure["path"]: failure["reason"][:3] for failure in status["failures"]}
        self.assertEqual(failures, {self.path(50): "404", self.path(51): "404"})
        second.terminate()
        self.assertEqual(second.wait(60), 0)

        self.origin.files["/50.jpg"] = self.origin.files["/51.jpg"] = self.origin.files["/1.jpg"]
        self.assertEqual(self.render("retry"), {"retried": 2})
        answer = json.loads(self.post(server, "/render", {"source": self.origin.url("/7.jpg")}).body)
        self.assertEqual(self.render("run", "--drain")["failed"], 0)
        self.assertEqual(self.state(server, answer["id"])["done"], 2)
        self.assertEqual(self.render("status")["failed"], 0)
        self.assert_cached(server, self.path(50), self.path(51), self.path(7, "pr:thumb"))


class RedisTests(FleetCase):
    broker_type = RedisBroker

    def test_killed_workers_and_a_restart_lose_no_image(self) -> None:
        self.lose_nothing()

    def test_many_images_that_wait_for_another_try_are_made_once(self) -> None:
        """Those that fail together are due together, and wait for longer than Redis leaves a message to a worker."""
        self.settings |= {"TIMEOUT": "1", "DOWNLOAD_TIMEOUT": "1", "SOURCE_BREAKER_FAILURES": "0"}
        self.render("add", *(self.path(n) for n in range(20)))
        self.origin.status = 503
        worker = self.worker("--drain", "--concurrency", "1")
        wait_for(lambda: len(set(self.asked)) == 20, "the first try of each")
        self.origin.status, self.origin.delay = 0, 0.5
        self.assertEqual(worker.wait(100), 0)
        status = self.render("status")
        self.assertEqual((status["pending"], status["running"], status["done"], status["failed"]), (0, 0, 20, 0))

    def test_messages_that_are_no_jobs_run_nothing(self) -> None:
        """A pickle is not unpickled, a job of another form is dropped, and the others are made."""
        import pickle

        from kombu.connection import Connection

        trap = self.scratch / "trap"

        class Bomb:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(trap),)

        with Connection(self.broker.url) as connection, connection.Producer() as producer:
            head = {"lang": "py", "task": "imgforge.render", "id": "1", "retries": 0, "group": None}
            for form, body in (
                ("application/x-python-serialize", pickle.dumps([[Bomb()], {}, {}])),
                ("application/json", b'[[{"path": "/x", "callable": "os.system"}], {}, {}]'),
                ("application/json", b"[[], {}, {}]"),
                ("application/json", b"nothing"),
            ):
                encoding = "binary" if "python" in form else "utf-8"
                producer.publish(
                    body, routing_key="imgforge", headers=head, content_type=form, content_encoding=encoding
                )
        self.render("add", self.path(1))
        self.assertEqual(self.render("run", "--drain")["done"], 1)
        self.assertFalse(trap.exists())

    def test_a_broker_that_is_away_is_said_in_one_line(self) -> None:
        server = self.server()
        self.broker.stop()
        for command in (("status",), ("add", self.path(1)), ("retry",)):
            error = self.render(*command, status=1)
            self.assertRegex(error, r"\Aimgforge: the broker of IMGFORGE_QUEUE_URL does not answer .*\n\Z")
        reply = self.post(server, "/render", {"paths": [self.path(1)]})
        self.assertEqual((reply.status, reply.body), (503, b"the broker of IMGFORGE_QUEUE_URL does not answer\n"))
        self.assertEqual(server.get(self.path(1)).status, 200)

    def test_a_server_logs_that_its_broker_is_away_and_that_it_is_back(self) -> None:
        self.broker.stop()
        server = self.server()
        server.assert_logged("the broker of IMGFORGE_QUEUE_URL does not answer (")
        self.broker.start()
        server.assert_logged("the broker of IMGFORGE_QUEUE_URL answers again")
        self.assertEqual(server.output().count("does not answer"), 1)


class RabbitTests(FleetCase):
    broker_type = RabbitBroker

    def test_killed_workers_and_a_restart_lose_no_image(self) -> None:
        self.lose_nothing()
