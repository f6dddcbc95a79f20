"""The order of renders: by arrival, light ones past heavy ones that wait, and none for ever."""

from __future__ import annotations

import math
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from imgforge.concurrency import Places, PlaceTable
from imgforge.pipeline.render_queue import HEAVY, MOST_DELAY, Pace, RenderQueue, due


@dataclass(eq=False)
class Render:
    name: str
    due: float
    heavy: bool = False
    admitted: float = math.inf


class RenderQueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.queue: RenderQueue[Render] = RenderQueue(4, Places(2))

    def add(self, name: str, came: float, seconds: float = 0.0) -> Render:
        render = Render(name, due(came, seconds), seconds > HEAVY)
        self.queue.add(render)
        return render

    def started(self) -> list[str]:
        """The names of all that start now, in order."""
        names = []
        while (render := self.queue.start_next()) is not None:
            render.admitted = 0.0
            names.append(render.name)
        return names

    def test_no_more_start_than_there_are_places(self) -> None:
        renders = [self.add(name, number) for number, name in enumerate("abcd")]
        self.assertEqual(self.started(), ["a", "b"])
        self.queue.end(renders[1])
        self.assertEqual(self.started(), ["c"])
        self.assertEqual((self.queue.running, self.queue.waiting), (2, 1))

    def test_light_render_passes_a_heavy_one_that_waits(self) -> None:
        busy = [self.add(name, 0.0) for name in "xy"]
        self.started()
        self.add("heavy", 1.0, 1.0)
        self.add("light", 1.5)
        for one in busy:
            self.queue.end(one)
        self.assertEqual(self.started(), ["light", "heavy"])

    def test_heavy_render_is_not_passed_by_what_comes_later_than_it_takes(self) -> None:
        busy = [self.add(name, 0.0) for name in "xy"]
        self.started()
        self.add("heavy", 1.0, 1.0)
        self.add("endless", 1.5, 1000.0)
        for number in range(5):
            self.add(f"light {number}", 2.1)
        for one in busy:
            self.queue.end(one)
        self.assertEqual(self.started()[0], "heavy")
        self.assertEqual(due(1.5, 1000.0), 1.5 + MOST_DELAY)

    def test_light_renders_run_beside_heavy_ones_that_have_all_places(self) -> None:
        for name in "ab":
            self.add(name, 0.0, 5.0)
        self.assertEqual(self.started(), ["a", "b"])
        light = [self.add(name, 1.0) for name in "cd"]
        self.add("e", 0.0, 5.0)
        self.assertEqual(self.started(), ["c"])
        self.queue.end(light[0])
        self.assertEqual(self.started(), ["d"])

    def test_heavy_renders_leave_a_thread(self) -> None:
        self.queue = RenderQueue(2, Places(2))
        for name in "abc":
            self.add(name, 0.0, 5.0)
        self.assertEqual(self.started(), ["a"])
        self.add("light", 9.0)
        self.assertEqual(self.started(), ["light"])

    def test_lone_thread_takes_heavy_renders_too(self) -> None:
        self.queue = RenderQueue(1, Places(1))
        heavy = self.add("heavy", 0.0, 5.0)
        self.assertEqual(self.started(), ["heavy"])
        self.add("light", 1.0)
        self.assertEqual(self.started(), [])
        self.queue.end(heavy)
        self.assertEqual(self.started(), ["light"])

    def test_render_that_takes_long_becomes_heavy(self) -> None:
        for name in "abc":
            self.add(name, 0.0)
        self.assertEqual(self.started(), ["a", "b"])
        self.assertEqual(self.queue.age(HEAVY / 2), HEAVY)
        self.assertEqual(self.started(), [])
        self.assertIsNone(self.queue.age(HEAVY))
        self.assertEqual(self.started(), ["c"])

    def test_removed_render_does_not_start(self) -> None:
        first = self.add("a", 0.0)
        self.add("b", 1.0)
        self.assertTrue(self.queue.remove(first))
        self.assertFalse(self.queue.remove(first))
        self.assertEqual(self.started(), ["b"])

    def test_two_processes_have_one_order(self) -> None:
        table = PlaceTable(2)
        self.addCleanup(table.close)
        queues = [RenderQueue[Render](2, table.places(slot, 1)) for slot in range(2)]
        running = Render("running", 0.0)
        queues[0].add(running)
        self.assertIs(queues[0].start_next(), running)
        for queue, name, came in ((queues[0], "later", 2.0), (queues[1], "earlier", 1.0)):
            queue.add(Render(name, came))
            self.assertIsNone(queue.start_next())
        queues[0].end(running)
        self.assertIsNone(queues[0].start_next())
        started = queues[1].start_next()
        assert started is not None
        self.assertEqual(started.name, "earlier")

    def test_started_anyway_whatever_others_have(self) -> None:
        table = PlaceTable(2)
        self.addCleanup(table.close)
        queue, other = RenderQueue[Render](2, table.places(0, 1)), table.places(1, 1)
        other.take(heavy=False)
        queue.add(Render("waiting", 0.0))
        self.assertIsNone(queue.start_next())
        self.assertIsNotNone(queue.start_next(anyway=True))


class PaceTests(SynchronousTestCase):
    def test_interval_is_the_usual_one_between_ends_while_others_wait(self) -> None:
        pace = Pace()
        for number in range(200):
            pace.ended(0.5 * number, busy=True)
        self.assertAlmostEqual(pace.interval, 0.5, places=3)

    def test_idle_time_does_not_count(self) -> None:
        pace = Pace()
        for number in range(200):
            pace.ended(100.0 * number, busy=True)
            pace.ended(100.0 * number + 0.5, busy=False)
        self.assertAlmostEqual(pace.interval, 0.5, places=3)
