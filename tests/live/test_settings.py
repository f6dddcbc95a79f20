"""Settings as an operator brings them along from imgproxy, on the real server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.live._pictures import encode, gradient
from tests.live._process import Origin, Twistd, wait_for


class SettingsCase(SynchronousTestCase):
    def server(self, *arguments: str, **settings: str) -> Twistd:
        made = Twistd({"PROCESSES": "1", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"} | settings, arguments)
        self.addCleanup(made.clean)
        return made

    def origin(self, **headers: str) -> Origin:
        made = Origin({"/a.png": encode(gradient(40, 30), "PNG")}, {n.replace("_", "-"): v for n, v in headers.items()})
        self.addCleanup(made.close)
        return made


class MovingOverTests(SettingsCase):
    def test_what_does_nothing_here_is_told_at_the_start(self) -> None:
        running = self.server(FREE_MEMORY_INTERVAL="10", USE_S3="false", S3_REGION="eu").start()
        (line,) = [line for line in running.output().splitlines() if "without effect" in line]
        self.assertIn("warn", line)
        self.assertIn("IMGFORGE_FREE_MEMORY_INTERVAL (", line)
        self.assertIn("IMGFORGE_S3_REGION (", line)

    def test_what_is_missing_ends_the_start(self) -> None:
        refused = self.server(USE_S3="true", SENTRY_DSN="https://k@sentry/1")
        refused.launch()
        wait_for(lambda: refused.ended, "the end")
        self.assertEqual(refused.stop(), 1)
        self.assertEqual(
            [line.partition(" is not to be had")[0] for line in refused.output().splitlines()],
            ["imgforge: IMGFORGE_USE_S3 in the environment", "imgforge: IMGFORGE_SENTRY_DSN in the environment"],
        )

    def test_variables_with_imgproxys_prefix_are_warned_of(self) -> None:
        running = self.server()
        running.environment = {"IMGPROXY_QUALITY": "33", "IMGPROXY_TTL": "5"}
        running.start()
        told = "IMGPROXY_QUALITY, IMGPROXY_TTL: not read; rename the prefix IMGPROXY_ to IMGFORGE_"
        self.assertIn(told, running.output())
