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

    def test_what_belongs_to_a_cache_or_a_store_waits_for_it(self) -> None:
        for given, switch, told in (
            ({"CACHE_DISK_PATH": "/x"}, {"CACHE_TYPE": "hybrid"}, "IMGFORGE_CACHE_TYPE is neither disk nor hybrid"),
            ({"CACHE_DISK_PATH": "/x"}, {"SOURCE_CACHE_TYPE": "disk"}, "IMGFORGE_CACHE_TYPE is neither"),
            ({"CACHE_DISK_PATH": "/x"}, {"CACHE_USE": "fs"}, "IMGFORGE_CACHE_TYPE is neither"),
            ({"CACHE_REDIS_URL": "redis://x"}, {"CACHE_USE": "redis"}, "IMGFORGE_CACHE_USE is not redis"),
            ({"CACHE_BUCKET": "b"}, {"CACHE_USE": "s3"}, "IMGFORGE_CACHE_USE names no store with buckets"),
            ({"CACHE_GCS_KEY": "{}"}, {"CACHE_USE": "gcs", "CACHE_BUCKET": "b"}, "IMGFORGE_CACHE_USE is not gcs"),
            ({"S3_ENDPOINT": "http://x"}, {"USE_S3": "true"}, "IMGFORGE_USE_S3 is not set"),
            ({"GCS_KEY": "{}"}, {"USE_GCS": "true"}, "IMGFORGE_USE_GCS is not set"),
        ):
            (line,) = idle(KEY="aa", SALT="bb", **given)
            self.assertIn(f"IMGFORGE_{next(iter(given))}: without effect, as {told}", line)
            self.assertEqual(idle(KEY="aa", SALT="bb", **given, **switch), [], given)

    def test_settings_go_by_the_names_that_were_written(self) -> None:
        (line,) = idle(KEY="aa", SALT="bb", CACHE_USE="memory", CACHE_FS_ROOT="/x")
        self.assertEqual(
            line, "IMGFORGE_CACHE_FS_ROOT: without effect, as IMGFORGE_CACHE_USE is neither disk nor hybrid"
        )

    def test_defaults_are_not_named(self) -> None:
        self.assertEqual(idle(SYSLOG_ENABLE="false", SYSLOG_TAG="imgforge"), [])
