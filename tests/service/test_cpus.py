"""How many CPUs the quotas of control groups leave, read from trees like those of the kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.platform.cpus import cgroup_cpus, usable_cpus
from tests.support.cgroups import found_in


def cpus(membership: str, files: Mapping[str, str]) -> float:
    return found_in(cgroup_cpus, membership, files)


class QuotaTests(SynchronousTestCase):
    def test_container_has_the_quota_of_its_root(self) -> None:
        self.assertEqual(cpus("0::/\n", {"cpu.max": "150000 100000\n"}), 1.5)

    def test_systemd_service_has_the_quota_of_its_own_group(self) -> None:
        found = cpus("0::/system.slice/imgforge.service\n", {"system.slice/imgforge.service/cpu.max": "50000 100000\n"})
        self.assertEqual(found, 0.5)

    def test_the_smallest_quota_on_the_way_up_counts(self) -> None:
        files = {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "200000 100000\n", "cpu.max": "max 100000\n"}
        self.assertEqual(cpus("0::/a/b\n", files), 2)

    def test_max_means_no_quota(self) -> None:
        self.assertEqual(cpus("0::/a\n", {"a/cpu.max": "max 100000\n"}), math.inf)

    def test_version_1_has_two_files_and_minus_one_for_no_quota(self) -> None:
        membership = "3:cpuset:/x\n2:cpu,cpuacct:/docker/1\n0::/\n"
        limited = {
            "cpu,cpuacct/docker/1/cpu.cfs_quota_us": "300000\n",
            "cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000\n",
        }
        self.assertEqual(cpus(membership, limited), 3)
        free = {"cpu/docker/1/cpu.cfs_quota_us": "-1\n", "cpu/docker/1/cpu.cfs_period_us": "100000\n"}
        self.assertEqual(cpus(membership, free), math.inf)

    def test_group_that_only_the_host_sees_gives_the_quota_of_the_containers_root(self) -> None:
        files = {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}
        self.assertEqual(cpus("1:cpu:/docker/beyond/reach\n", files), 2)

    def test_without_control_groups_there_is_no_quota(self) -> None:
        self.assertEqual(cgroup_cpus(Path("/nowhere"), Path("/nowhere")), math.inf)

    def test_there_is_always_one_cpu(self) -> None:
        self.assertGreaterEqual(usable_cpus(), 1)

    @given(st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 10**6)), min_size=1, max_size=4))
    def test_nested_groups_give_the_smallest_quota(self, quotas: list[tuple[int, int]]) -> None:
        groups = ["", "a/", "a/b/", "a/b/c/"][: len(quotas)]
        files = {f"{group}cpu.max": f"{quota} {period}" for group, (quota, period) in zip(groups, quotas, strict=True)}
        found = cpus(f"0::/{groups[-1].rstrip('/')}\n", files)
        self.assertEqual(found, min(quota / period for quota, period in quotas))
