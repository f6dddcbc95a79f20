"""The order of renders: by arrival, light ones past heavy ones that wait, and none for ever."""

from __future__ import annotations

import math
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from imgforge.pipeline.render_queue import HEAVY, MOST_DELAY, Pace, RenderQueue, due


@dataclass(eq=False)
class Render:
    name: str
    due: float
    heavy: bool = False
    admitted: float = math.inf


class RenderQueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.queue: RenderQueue[Render] = RenderQueue(2)

    def add(self, name: str, came: float, seconds: float = 0.0) -> Render:
        render = Render(name, due(came, seconds), seconds > HEAVY)
        self.queue.add(render)
        return render

    def started(self, now: float = 0.0) -> list[str]:
        """The names of all that start *now*, in order."""
        names = []
        while (render := self.queue.start_next(now)) is not None:
            render.admitted = now
            names.append(render.name)
        return names

    def test_no_more_start_than_there_are_threads(self) -> None:
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

    def test_heavy_renders_leave_a_thread(self) -> None:
        for name in "abc":
            self.add(name, 0.0, 5.0)
        self.assertEqual(self.started(), ["a"])
        self.add("light", 9.0)
        self.assertEqual(self.started(), ["light"])

    def test_lone_thread_takes_heavy_renders_too(self) -> None:
        self.queue = RenderQueue(1)
        heavy = self.add("heavy", 0.0, 5.0)
        self.assertEqual(self.started(), ["heavy"])
        self.add("light", 1.0)
        self.assertEqual(self.started(), [])
        self.queue.end(heavy)
        self.assertEqual(self.started(), ["light"])

    def test_render_that_takes_long_counts_as_heavy(self) -> None:
        self.add("long", 0.0)
        self.assertEqual(self.started(), ["long"])
        self.add("heavy", 0.0, 5.0)
        self.assertEqual(self.started(HEAVY), [])
        self.add("light", 0.1)
        self.assertEqual(self.started(HEAVY), ["light"])

    def test_removed_render_does_not_start(self) -> None:
        first = self.add("a", 0.0)
        self.add("b", 1.0)
        self.assertTrue(self.queue.remove(first))
        self.assertFalse(self.queue.remove(first))
        self.assertEqual(self.started(), ["b"])


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
            pace.ended(100.0 * number + 0.5, busy=True)
            self.assertAlmostEqual(pace.interval, 0.5 / 16)
            pace.ended(100.0 * number + 0.6, busy=False)
        self.assertEqual(pace.interval, 0.0)
