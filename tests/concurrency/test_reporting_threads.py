"""Calls run on threads, and their outcomes reach the reactor's thread in one turn if they are there together."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imgforge.concurrency import ReportingThreads


class Turns:
    """A reactor whose turns the test makes."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.called = threading.Semaphore(0)

    def callFromThread(self, call: Any) -> None:
        self.calls.append(call)
        self.called.release()

    def turn(self) -> None:
        self.called.acquire(timeout=20)
        self.calls.pop(0)()


class ReportingThreadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turns = Turns()
        self.threads = ReportingThreads(self.turns, "test")  # type: ignore[arg-type]
        self.addCleanup(self.threads.stop)
        self.outcomes: list[Any] = []

    def test_result_and_failure_come_back(self) -> None:
        self.threads.call(lambda: threading.current_thread().name, self.outcomes.append)
        self.turns.turn()
        self.threads.call(lambda: 1 / 0, self.outcomes.append)
        self.turns.turn()
        name, failure = self.outcomes
        self.assertEqual(name, "test-0")
        assert isinstance(failure, Failure)
        self.assertTrue(failure.check(ZeroDivisionError))

    def test_outcomes_that_are_there_together_come_in_one_turn(self) -> None:
        together = threading.Barrier(3)
        self.threads.call(lambda: together.wait(20), self.outcomes.append)
        self.threads.call(lambda: together.wait(20), self.outcomes.append)
        together.wait(20)
        self.threads.stop()  # both have ended
        self.turns.turn()
        self.assertEqual(len(self.outcomes), 2)

    def test_a_thread_that_is_free_is_used_again(self) -> None:
        names = set()
        for _ in range(3):
            self.threads.call(lambda: names.add(threading.current_thread().name), self.outcomes.append)
            self.turns.turn()
        self.assertEqual(names, {"test-0"})

    def test_nothing_of_a_call_is_kept_on_the_idle_thread(self) -> None:
        freed = threading.Event()

        class Body:
            def __del__(self) -> None:
                freed.set()

        body: Body | None = Body()
        self.threads.call(partial(isinstance, body, Body), lambda _: None)
        body = None
        self.turns.turn()
        self.assertTrue(freed.wait(20))
