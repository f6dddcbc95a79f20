"""How much memory the limits of control groups leave, read from trees like those of the kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings
from imgforge.service.platform.memory_limits import cgroup_memory, pixel_bytes, usable_bytes
from tests.support.cgroups import found_in


def memory(membership: str, files: Mapping[str, str]) -> float:
    return found_in(cgroup_memory, membership, files)


class LimitTests(SynchronousTestCase):
    def test_the_smallest_limit_on_the_way_up_counts(self) -> None:
        files = {"a/b/memory.max": "max\n", "a/memory.max": "268435456\n", "memory.max": "1073741824\n"}
        self.assertEqual(memory("0::/a/b\n", files), 268435456)

    def test_version_1_limit_is_read(self) -> None:
        files = {"memory/docker/1/memory.limit_in_bytes": "536870912\n"}
        self.assertEqual(memory("4:memory:/docker/1\n", files), 536870912)

    def test_without_control_groups_there_is_no_limit(self) -> None:
        self.assertEqual(cgroup_memory(Path("/nowhere"), Path("/nowhere")), math.inf)


class PixelBytesTests(SynchronousTestCase):
    def test_configured_bytes_are_divided_among_the_processes(self) -> None:
        self.assertEqual(pixel_bytes(Settings.from_given({"processing_memory_max_bytes": 1000}), 4), 250)

    def test_default_is_half_of_the_memory(self) -> None:
        self.assertEqual(pixel_bytes(Settings.from_given({}), 1), usable_bytes() // 2)
