"""How many renders run and are admitted, by the settings and the number of CPUs."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings
from imgforge.service.shares import admitted_per_process, longest_wait, places, threads_per_process


def settings(**given: Any) -> Settings:
    return Settings.from_given({"allow_unsigned": True, **given})


class SharesTests(SynchronousTestCase):
    def test_a_place_for_each_cpu_and_no_more_than_threads(self) -> None:
        for workers, cpus, number in ((0, 4, 4), (2, 4, 2), (16, 4, 4), (1, 1, 1)):
            self.assertEqual(places(settings(workers=workers), cpus), number)

    def test_every_process_has_threads_beside_its_share_of_the_places(self) -> None:
        for processes, cpus in ((1, 1), (1, 2), (2, 2), (4, 4), (1, 16), (16, 16)):
            threads = processes * threads_per_process(settings(), processes, cpus)
            self.assertEqual((threads, places(settings(), cpus)), (2 * cpus, cpus))

    def test_processes_admit_as_many_renders_as_run_and_wait_together(self) -> None:
        for workers, processes, cpus, number in ((0, 2, 2, 1), (0, 1, 4, 4), (8, 2, 2, 4), (1, 4, 4, 1)):
            self.assertEqual(admitted_per_process(settings(workers=workers), processes, cpus), number)

    def test_time_is_left_for_the_image(self) -> None:
        self.assertLess(longest_wait(settings(timeout="10")), 10.0)
