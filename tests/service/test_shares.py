"""How many threads a process has, by the settings and the number of CPUs."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings
from imgforge.service.shares import longest_wait, origin_connections_kept, threads_per_process
from imgforge.service.startup_lines import descriptors_needed


def settings(**given: Any) -> Settings:
    return Settings.from_given({"allow_unsigned": True, **given})


class SharesTests(SynchronousTestCase):
    def test_threads_are_shared_out(self) -> None:
        for workers, processes, cpus, number in ((0, 2, 2, 2), (0, 1, 4, 8), (8, 2, 2, 4), (1, 4, 4, 1)):
            self.assertEqual(threads_per_process(settings(workers=workers), processes, cpus), number)

    def test_idle_connections_to_origins_need_descriptors(self) -> None:
        kept = [
            settings(client_keep_alive_timeout="0"),
            settings(),
            settings(use_s3="true", use_swift="true"),
        ]
        self.assertEqual([origin_connections_kept(one) for one in kept], [0, 100, 300])
        without, web, stores = (descriptors_needed(one, 2) for one in kept)
        self.assertEqual((web - without, stores - without), (100, 300))

    def test_time_is_left_for_the_image(self) -> None:
        self.assertLess(longest_wait(settings(timeout="10")), 10.0)
