"""Options of image URLs: valid and malformed arguments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadOption, ImgforgeError
from imgforge.model import (
    AutoQualityOptions,
    Color,
    Crop,
    Extend,
    Gradient,
    Gravity,
    Padding,
    ProcessingOptions,
    ProgressiveBlur,
    Trim,
    UnsharpOptions,
    Watermark,
)
from imgforge.urls import BY_NAME, OPTIONS
from imgforge.urls.options import OptionParser

# Option text -> the fields that it sets, by imgproxy's documentation.
MEANINGS: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "rs:fill:300:200:1:1:no:1:2",
        {
            "resizing_type": "fill",
            "width": 300,
            "height": 200,
            "enlarge": True,
            "extend": Extend(True, Gravity("no", 1, 2)),
        },
    ),
    ("resize:fill-down::7", {"resizing_type": "fill-down", "height": 7}),
    ("s:3:4:t", {"width": 3, "height": 4, "enlarge": True}),
    ("size::5", {"height": 5}),
    ("rt:auto", {"resizing_type": "auto"}),
    ("ra:nearest", {"resizing_algorithm": "nearest"}),
    ("w:+050", {"width": 50}),
    ("mw:3", {"min_width": 3}),
    ("min-height:4", {"min_height": 4}),
    ("z:2", {"zoom_x": 2, "zoom_y": 2}),
    ("zoom:0.5:3", {"zoom_x": 0.5, "zoom_y": 3}),
    ("dpr:1.5", {"dpr": 1.5}),
    ("el:True", {"enlarge": True}),
    ("el:yes", {"enlarge": False}),
    ("ex:1:soea:5:6", {"extend": Extend(True, Gravity("soea", 5, 6))}),
    ("exar:1", {"extend_aspect_ratio": Extend(True)}),
    ("g:ce:0.1:-20", {"gravity": Gravity("ce", 0.1, -20)}),
    ("g:fp:0.25:1", {"gravity": Gravity("fp", 0.25, 1)}),
    ("g:fp::0.9", {"gravity": Gravity("fp", 0, 0.9)}),
    ("g:sm", {"gravity": Gravity("sm")}),
    ("c:100:0.5", {"crop": Crop(100, 0.5)}),
    ("crop:0:10:nowe:1:2", {"crop": Crop(0, 10, Gravity("nowe", 1, 2))}),
    ("t:10", {"trim": Trim(10)}),
    ("trim:5:f00:1:0", {"trim": Trim(5, Color(255, 0, 0), True, False)}),
    ("t:", {"trim": None}),
    ("t::ff0000", {"trim": None}),
    ("pd:1", {"padding": Padding(1, 1, 1, 1)}),
    ("pd:1:2", {"padding": Padding(1, 2, 1, 2)}),
    ("pd:1:2:3", {"padding": Padding(1, 2, 3, 2)}),
    ("padding:::10", {"padding": Padding(0, 0, 10, 0)}),
    ("rot:-90", {"rotate": 270}),
    ("rotate:450", {"rotate": 90}),
    ("fl:1:1", {"flip_horizontal": True, "flip_vertical": True}),
    ("fl::1", {"flip_vertical": True}),
    ("bg:ffa", {"background": Color(255, 255, 170)}),
    ("bg:1:2:3", {"background": Color(1, 2, 3)}),
    ("bg:", {"background": None}),
    ("bg:ff000080", {"background": Color(255, 0, 0), "background_alpha": 128 / 255}),
    ("bg:102030", {"background": Color(16, 32, 48)}),
    ("bga:0.25", {"background_alpha": 0.25}),
    ("aq:dssim::60", {"autoquality": AutoQualityOptions("dssim", None, 60)}),
    ("aq:size:10240:10:80", {"autoquality": AutoQualityOptions("size", 10240, 10, 80)}),
    ("ush::2", {"unsharp_masking": UnsharpOptions(None, 2)}),
    ("car:1:1", {"crop_aspect_ratio": 1, "crop_aspect_ratio_enlarge": True}),
    ("gr:0.5:f00:up:-1:1.5", {"gradient": Gradient(0.5, Color(255, 0, 0), 180, -1, 1.5)}),
    ("pbl:9:45:0.2:2", {"progressive_blur": ProgressiveBlur(9, 45, 0.2, 2)}),
    ("hs:sha1:abcd", {"hashsum": ("sha1", "abcd")}),
    ("wmu:aW1hZ2UxCg", {"watermark_url": "image1"}),  # with a line break at the end, as in imgproxy's documentation
    ("bl:0.5", {"blur": 0.5}),
    ("sh:2", {"sharpen": 2}),
    ("pix:9", {"pixelate": 9}),
    ("q:0", {"quality": 0}),
    ("fq:jpg:70:webp:80", {"format_quality": (("jpeg", 70), ("webp", 80))}),
    ("ext:jpg", {"format": "jpeg"}),
    ("sm:0", {"strip_metadata": False}),
    ("scp:0", {"strip_color_profile": False}),
    ("skp:jpg:gif", {"skip_processing": ("gif", "jpeg")}),
    ("skp:pdf:psd:raw:tif", {"skip_processing": ("pdf", "psd", "raw", "tiff")}),
    ("mb:1000", {"max_bytes": 1000}),
    ("wm:0.5:soea:-10:0.1:0.2", {"watermark": Watermark(0.5, "soea", -10, 0.1, 0.2)}),
    ("wm:0.5:soea:-10:0.1:0.2:3:4", {"watermark": Watermark(0.5, "soea", -10, 0.1, 0.2)}),
)

WRONG = (
    "w:1.5", "w:-1", "w:1e3", "w:x", "w:1:2", "w:\u0661", "w: 1", "h:99999999999999999999", "rs:fil:1",
    "rs:fit:1:2:1:1:ce:1:2:3",
    "dpr:0", "dpr:-1", "dpr:nan", "dpr:inf", "dpr:1e3", "z:0", "g:xx", "g:fp:1", "g:fp:2:0", "g:sm:1:1", "g:ce:1:2:3",
    "g:ce:1:2:", "c:1:2:ce:1:2:3",
    "ex:1:sm", "exar:1:sm", "c:-1:2", "c:1:2:zz", "pd:-1", "rot:45", "rot:x", "bg:ff", "bg:ggg", "bg:1:2", "bg:1:2:256",
    "bl:-1", "bl:nan", "q:101", "fq:jpg", "fq:xyz:80", "f:PNG", "f:exe", "skp:exe", "wm:2", "wm:1:sm", "fn:%%%:1",
    "fn:YQ0KYg:1", "fn:ab+A:1", "wmu:YQpi", "fiu:YQpi", "wmt:YQBi",
    "nonsense", "nonsense:1", "exp:soon", "skp:best", "wm:1:ce:0:0:0:0:0:0",
    "f:pdf", "maf:0", "bg:ff00ff8", "bg:ff00ffgg", "t:x", "t:1:red", "mb:-5",
)  # fmt: skip


class MeaningTests(SynchronousTestCase):
    def parse(self, *texts: str) -> ProcessingOptions:
        return OptionParser().parse(texts).processing

    def test_each_option_sets_its_fields_and_no_others(self) -> None:
        for text, fields in MEANINGS:
            self.assertEqual(self.parse(text), ProcessingOptions(**fields), text)  # type: ignore[arg-type]

    def test_malformed_options_are_rejected_by_name(self) -> None:
        for text in WRONG:
            with self.assertRaises(BadOption) as caught:
                OptionParser(security=True).parse([text])
            self.assertIn(text.split(":")[0], caught.exception.message, text)

    def test_a_wrong_background_is_told_all_its_forms(self) -> None:
        for text in ("bg:red", "bg:12345"):
            with self.assertRaisesRegex(BadOption, "must be 3, 6 or 8 hexadecimal digits, or red:green:blue"):
                OptionParser().parse([text])

    def test_options_of_missing_features_may_be_off_only(self) -> None:
        for text in ("bd:0", "dd:false", "crop_objects:", "vts:0", "vtk:f", "vtt:0:0:0:0:0", "vta:0", "op:prop"):
            self.assertEqual(self.parse(text), ProcessingOptions(), text)
        for text, needs in (
            ("blur_detections:5:face", "objects"), ("dd:1", "objects"), ("crop_objects:1.2:face:cat", "objects"),
            ("g:obj", "objects"), ("g:objw:all:2:face:3", "objects"), ("c:10:10:obj:face:cat:dog", "objects"),
            ("vts:3", "video"), ("vtk:1", "video"),
            ("vtt:1:2:2:9:9:1:1:1:0.5:0.5", "video"), ("vta:1:100:5:9:9", "video"),
            ("aq:ml:0.02:70:80:0.001", "networks"),
        ):  # fmt: skip
            with self.assertRaises(BadOption) as caught:
                self.parse(text)
            self.assertIn("not supported by this server", caught.exception.message, text)
            self.assertIn(needs, caught.exception.message, text)

    def test_empty_arguments_keep_earlier_values(self) -> None:
        self.assertEqual(self.parse("s:3:4", "s::5").width, 3)
        self.assertEqual(self.parse("bg:fff", "bg:").background, None)
        self.assertEqual(self.parse("z:2:3", "z:").zoom_y, 3)

    def test_a_bare_switch_is_off(self) -> None:
        self.assertIs(self.parse("sm:").strip_metadata, False)
        self.assertIs(self.parse("el:1", "el:").enlarge, False)
        self.assertTrue(self.parse("fl:1", "fl:").flip_horizontal)  # of two switches an empty one changes nothing
        self.assertEqual(self.parse("ex:1:no", "ex:").extend, Extend(False, Gravity("no")))
        self.assertEqual(self.parse("exar:1:no", "exar::so").extend_aspect_ratio, Extend(False, Gravity("so")))
        self.assertTrue(self.parse("ex:1", "rs:fit:9:9:1:").extend.enabled)
        self.assertFalse(OptionParser().parse(["raw:"]).delivery.raw)

    def test_background_alpha_may_precede_or_follow_the_background(self) -> None:
        for texts in (("bga:0.5", "bg:f00"), ("bg:f00", "bga:0.5"), ("bg:ff000022", "bga:0.5")):
            parsed = self.parse(*texts)
            self.assertEqual((parsed.background, parsed.background_alpha), (Color(255, 0, 0), 0.5), texts)

    def test_a_later_option_changes_only_its_own_fields(self) -> None:
        self.assertEqual(self.parse("g:no:1:2", "g:so::7").gravity, Gravity("so", 1, 7))
        self.assertEqual(self.parse("g:no:1:2", "g:sm").gravity, Gravity("sm"))
        self.assertEqual(self.parse("g:fp:0.2:0.3", "g:fp:0.9:").gravity, Gravity("fp", 0.9, 0.3))
        self.assertEqual(self.parse("ex:0:no:1", "ex:1").extend, Extend(True, Gravity("no", 1)))
        for text in ("rs:fit:9:9:1::so:1:2", "s:9:9:1::so"):  # without `extend` its gravity is ignored
            self.assertEqual(self.parse("ex:1:no:1", text).extend, Extend(True, Gravity("no", 1)), text)
        self.assertEqual(self.parse("c:10:20:we:5", "c:30").crop, Crop(30, 20, Gravity("we", 5)))
        self.assertEqual(self.parse("t:1:f00:1:1", "t:2").trim, Trim(2, None, True, True))
        self.assertEqual(self.parse("wm:0.5:soea:1:2:0.3", "wm:0.7").watermark, Watermark(0.7, "soea", 1, 2, 0.3))

    def test_offsets_without_a_type_keep_the_gravity(self) -> None:
        self.assertEqual(self.parse("ex:1::10:10").extend, Extend(True, Gravity("ce", 10, 10)))
        self.assertEqual(self.parse("exar:1:::0.2").extend_aspect_ratio, Extend(True, Gravity("ce", 0, 0.2)))
        self.assertEqual(self.parse("rs:fit:9:9:1:1::-3").extend, Extend(True, Gravity("ce", -3, 0)))
        self.assertEqual(self.parse("ex:1:no:1", "ex:1::5").extend, Extend(True, Gravity("no", 5)))
        self.assertEqual(self.parse("ex:1:::").extend, Extend(True))
        self.assertEqual(self.parse("g:no", "g::5:6").gravity, Gravity("no", 5, 6))
        self.assertEqual(
            self.parse("c:10:20::5").crop, Crop(10, 20, Gravity("", 5))
        )  # the request's type, with this offset
        for text in ("ex:1::x", "g::1:2:3", "c:1:2::x"):
            with self.assertRaises(BadOption, msg=text):
                self.parse(text)

    def test_missing_padding_sides_follow_css(self) -> None:
        self.assertEqual(self.parse("pd:1:2:3:4", "pd::9").padding, Padding(1, 9, 1, 9))
        self.assertEqual(self.parse("pd:1:2:3:4", "pd:::7").padding, Padding(1, 1, 7, 1))

    def test_a_padding_side_is_filled_only_from_one_that_was_set(self) -> None:
        self.assertEqual(self.parse("pd:::13:14", "pd::").padding, Padding(0, 0, 13, 14))
        self.assertEqual(self.parse("pd::10", "pd:::5").padding, Padding(0, 10, 5, 10))
        self.assertEqual(self.parse("pd:0:10", "pd:::5").padding, Padding(0, 0, 5, 0))

    def test_delivery_options_set_no_processing_fields(self) -> None:
        parsed = OptionParser().parse(["raw:1", "cb:x", "exp:123", "fn:YS5wbmc:1", "att:1"])
        self.assertEqual(parsed.processing, ProcessingOptions())
        delivery = parsed.delivery
        self.assertEqual((delivery.raw, delivery.cachebuster, delivery.expires), (True, "x", 123))
        self.assertEqual((delivery.filename, delivery.return_attachment), ("a.png", True))

    def test_tags_may_have_any_character_but_separators(self) -> None:
        signs = "".join(map(chr, range(33, 127))).replace(",", "").replace(":", "")
        self.assertEqual(OptionParser().parse([f"ct:{signs}::b", "ct:c"]).delivery.cache_tags, (signs, "b", "c"))
        for tag in ("a,b", "a b", "a\nb", "ü", "a" * 129):
            with self.assertRaises(BadOption):
                OptionParser().parse([f"ct:{tag}"])

    def test_another_separator(self) -> None:
        self.assertEqual(OptionParser(separator=",").parse(["rs,fill,3,4"]).processing.height, 4)

    def test_too_many_options_are_rejected(self) -> None:
        with self.assertRaises(BadOption):
            self.parse(*["w:1"] * 5000)
        with self.assertRaises(BadOption):
            self.parse("skp" + ":png" * 5000)


class TableTests(SynchronousTestCase):
    def test_names_are_unique(self) -> None:
        names = [name for option in OPTIONS for name in (option.name, *option.aliases)]
        self.assertEqual(len(names), len(set(names)))

    def test_every_row_has_a_summary(self) -> None:
        for option in OPTIONS:
            self.assertTrue(option.summary and option.usage, option.name)

    @given(st.sampled_from(sorted(BY_NAME)), st.lists(st.text(max_size=12), max_size=9))
    def test_only_imgforge_errors_are_raised_for_any_argument(self, name: str, arguments: list[str]) -> None:
        try:
            OptionParser(security=True).parse([":".join([name, *arguments])])
        except ImgforgeError as error:
            self.assertIn(error.status, (400, 403))
