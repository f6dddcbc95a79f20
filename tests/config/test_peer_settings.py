"""Settings that come along from imgproxy: what does nothing here is told, what is missing is said."""

from __future__ import annotations

import tempfile

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, load_settings


def warnings(**environ: str) -> tuple[str, ...]:
    """What is told of *environ*, whose names have no prefix, beside what is told without it."""
    settings = load_settings(None, {f"IMGFORGE_{name}": value for name, value in environ.items()})
    without = load_settings(None, {}).warnings()
    return tuple(line for line in settings.warnings() if line not in without)


class IdleTests(SynchronousTestCase):
    def test_what_has_nothing_to_change_is_told_of_in_one_line(self) -> None:
        (line,) = warnings(FREE_MEMORY_INTERVAL="10", LOG_MEM_STATS="false", LICENSE_KEY="hush")
        self.assertEqual(line.partition(": ")[0], "without effect")
        for name in ("FREE_MEMORY_INTERVAL", "LOG_MEM_STATS", "LICENSE_KEY"):
            self.assertIn(f"IMGFORGE_{name} (", line)
        self.assertNotIn("hush", line)

    def test_a_feature_that_is_switched_off_is_not_missed(self) -> None:
        self.assertEqual(warnings(OBJECT_DETECTION_NET="", PPROF_BIND="0", ENABLE_VIDEO_THUMBNAILS="False"), ())
        self.assertEqual(warnings(S3_USE_DECRYPTION_CLIENT="false", CACHE_S3_USE_DECRYPTION_CLIENT="false"), ())
        for name in ("OBJECT_DETECTION_TAGS", "VIDEO_THUMBNAIL_SECOND", "ML_NUM_STREAMS"):
            (line,) = warnings(**{name: "x"})
            self.assertIn(f"IMGFORGE_{name} (", line)

    def test_the_file_may_have_them_too(self) -> None:
        with tempfile.NamedTemporaryFile("w") as written:
            written.write('enable_video_thumbnails = false\nmalloc = "jemalloc"\n')
            written.flush()
            self.assertTrue(any("malloc (" in line for line in load_settings(written.name, {}).warnings()))

    def test_they_are_no_settings(self) -> None:
        settings = load_settings(None, {"IMGFORGE_MALLOC": "jemalloc", "IMGFORGE_QUALITY": "33"})
        self.assertEqual(settings.given, {"quality": "33"})


class MissingTests(SynchronousTestCase):
    def test_what_is_asked_for_and_not_here_ends_the_start(self) -> None:
        for name, word in (
            ("S3_USE_DECRYPTION_CLIENT", "encrypted"),
            ("CACHE_S3_USE_DECRYPTION_CLIENT", "encrypted"),
            ("ENABLE_VIDEO_THUMBNAILS", "videos"),
            ("OBJECT_DETECTION_NET", "learned"),
        ):
            with self.assertRaises(ConfigurationError) as caught:
                warnings(**{name: "true"})
            (line,) = caught.exception.lines
            self.assertIn(f"IMGFORGE_{name} in the environment is not supported: ", line)
            self.assertIn(word, line)

    def test_a_feature_is_one_mistake(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            warnings(CLASSIFICATION_NET="x", CLASSIFICATION_CLASSES="eu", CLASSIFICATION_THRESH="1")
        self.assertEqual(len(caught.exception.lines), 1)

    def test_an_unknown_name_is_a_mistake(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            warnings(NONSENSE="1")
        self.assertIn("not a setting", caught.exception.lines[0])


class PrefixTests(SynchronousTestCase):
    def told(self, environ: dict[str, str]) -> tuple[str, ...]:
        return tuple(line for line in load_settings(None, environ).warnings() if "IMGPROXY_" in line)

    def test_variables_with_imgproxys_prefix_are_named(self) -> None:
        (line,) = self.told({"IMGPROXY_QUALITY": "33", "IMGPROXY_KEY": "hush"})
        self.assertEqual(line, "IMGPROXY_KEY, IMGPROXY_QUALITY: not read; rename the prefix IMGPROXY_ to IMGFORGE_")

    def test_many_are_counted(self) -> None:
        (line,) = self.told({f"IMGPROXY_{number:02}": "1" for number in range(50)})
        self.assertIn("and 42 more", line)

    def test_who_has_set_both_knows(self) -> None:
        self.assertEqual(self.told({"IMGPROXY_QUALITY": "33", "IMGFORGE_QUALITY": "33"}), ())

    def test_they_are_told_of_beside_mistakes(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            load_settings(None, {"IMGPROXY_KEY": "aa"}, {"bind": "0.0.0.0:1"})
        self.assertEqual(len(caught.exception.lines), 2)
        self.assertIn("IMGPROXY_KEY", caught.exception.lines[1])
