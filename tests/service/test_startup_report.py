"""The formats in the startup report."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings
from imgforge.processing import FORMATS, Capabilities
from imgforge.service.startup_report import missing_formats, unwritten_formats

EVERYTHING = tuple(FORMATS)
WRITTEN = tuple(name for name, one in FORMATS.items() if one.writes)


class FormatsTests(SynchronousTestCase):
    def test_no_line_where_no_format_is_missing(self) -> None:
        self.assertEqual(missing_formats(Capabilities("8.18.7", EVERYTHING, WRITTEN)), [])

    def test_extras_formissing_formats_are_named_once_for_each_direction(self) -> None:
        without = {"bmp", "ico", "psd", "heic"}
        able = Capabilities(
            "8.18.7",
            tuple(name for name in EVERYTHING if name not in without),
            tuple(name for name in WRITTEN if name not in without),
        )
        self.assertEqual(
            missing_formats(able),
            [
                f"does not read heic, bmp, ico, psd: that needs {sys.executable} -m pip install pillow pillow-heif",
                f"does not write heic, bmp, ico: that needs {sys.executable} -m pip install pillow pillow-heif",
            ],
        )

    def test_settings_that_ask_for_what_cannot_be_written_are_named(self) -> None:
        able = Capabilities("8.18.7", EVERYTHING, tuple(name for name in WRITTEN if name != "jxl"))
        given = {"IMGFORGE_AUTO_JXL": "true", "IMGFORGE_AUTO_WEBP": "true", "IMGFORGE_PREFERRED_FORMATS": "jxl,png"}
        settings = load_settings(None, given)
        why = "jxl is without effect: it cannot be written here"
        self.assertEqual(
            unwritten_formats(settings, able), [f"IMGFORGE_AUTO_JXL: {why}", f"IMGFORGE_PREFERRED_FORMATS: {why}"]
        )
        self.assertEqual(unwritten_formats(settings, Capabilities("8.18.7", EVERYTHING, WRITTEN)), [])

    def test_library_that_libvips_was_built_without_is_named(self) -> None:
        able = Capabilities("8.14.1", EVERYTHING, tuple(name for name in WRITTEN if name not in {"avif", "gif"}))
        self.assertEqual(
            missing_formats(able),
            [
                "does not write avif: that needs a libvips with libheif and a codec of AV1, such as libaom, as "
                f"that of {sys.executable} -m pip install 'pyvips[binary]' is",
                "does not write gif: that needs a libvips with cgif, as "
                f"that of {sys.executable} -m pip install 'pyvips[binary]' is",
            ],
        )
