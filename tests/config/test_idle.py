"""Settings that wait for a switch are noted at the start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings


def idle(**given: str) -> list[str]:
    settings = load_settings(None, {f"IMGFORGE_{name}": value for name, value in given.items()})
    return [line for line in settings.warnings() if "without effect" in line]


class IdleTests(SynchronousTestCase):
    def test_a_setting_whose_switch_is_off_is_named(self) -> None:
        for name, switch in (
            ("OPEN_TELEMETRY_ENABLE_METRICS", "OPEN_TELEMETRY_ENABLE"),
            ("DATADOG_ENABLE_ADDITIONAL_METRICS", "DATADOG_ENABLE"),
        ):
            line = f"IMGFORGE_{name}: without effect, as IMGFORGE_{switch} is not set"
            self.assertEqual(idle(**{name: "true"}), [line])
            self.assertEqual(idle(**{name: "true", switch: "true"}), [])
        self.assertEqual(
            idle(SYSLOG_NETWORK="udp", SYSLOG_ADDRESS="logs:514"),
            ["IMGFORGE_SYSLOG_NETWORK, IMGFORGE_SYSLOG_ADDRESS: without effect, as IMGFORGE_SYSLOG_ENABLE is not set"],
        )

    def test_what_counts_for_all_traces_waits_for_any_of_them(self) -> None:
        line = "IMGFORGE_OPEN_TELEMETRY_PROPAGATE_EXTERNAL: without effect, as no traces are sent"
        self.assertEqual(idle(OPEN_TELEMETRY_PROPAGATE_EXTERNAL="true"), [line])
        self.assertEqual(idle(OPEN_TELEMETRY_PROPAGATE_EXTERNAL="true", DATADOG_ENABLE="true"), [])

    def test_defaults_are_not_named(self) -> None:
        self.assertEqual(idle(SYSLOG_ENABLE="false", SYSLOG_TAG="imgforge"), [])
