"""Two nodes that share a directory, as on a network share: work is done once, purges reach both."""

from __future__ import annotations

from tests.support import fleet_case


class DiskFleetTests(fleet_case.FleetTests):
    def fleet_settings(self) -> dict[str, str]:
        return {"CACHE_TYPE": "disk", "CACHE_DISK_PATH": self.scratch()}


class HybridFleetTests(fleet_case.FleetTests):
    def fleet_settings(self) -> dict[str, str]:
        return {"CACHE_TYPE": "hybrid", "CACHE_DISK_PATH": self.scratch()}
