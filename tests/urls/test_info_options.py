"""Options of /info: valid and malformed arguments, and presets."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadOption, ImgforgeError, OptionForbidden
from imgforge.model import Crop, DeliveryOptions, Gravity, InfoOptions, InfoRequest
from imgforge.urls import INFO_OPTIONS, UrlParser, UrlSettings

SOURCE = "http://example.com/a.jpg"

# Option text -> the fields that it sets, by imgproxy's documentation.
MEANINGS: tuple[tuple[str, dict[str, object]], ...] = (
    ("size:0", {"size": False}),
    ("s:f", {"size": False}),
    ("format:0", {"format": False}),
    ("f:false/f:t", {"format": True}),
    ("dimensions:0", {"dimensions": False}),
    ("d:0", {"dimensions": False}),
    ("exif:0", {"exif": False}),
    ("exif:1:1", {"exif_canonical_names": True}),
    ("iptc:0", {"iptc": False}),
    ("xmp:0", {"xmp": False}),
    ("colorspace:1", {"colorspace": True}),
    ("cs:1", {"colorspace": True}),
    ("bands:1", {"bands": True}),
    ("b:true", {"bands": True}),
    ("sample_format:1", {"sample_format": True}),
    ("sf:1", {"sample_format": True}),
    ("pages_number:1", {"pages_number": True}),
    ("pn:1", {"pages_number": True}),
    ("alpha:1", {"alpha": True}),
    ("a:1:1", {"alpha": True, "check_transparency": True}),
    ("crop:100:0.5", {"crop": Crop(100, 0.5)}),
    ("c:3:4:nowe:5:6", {"crop": Crop(3, 4, Gravity("nowe", 5, 6))}),
    ("palette:256", {"palette": 256}),
    ("p:2", {"palette": 2}),
    ("p:0", {"palette": 0}),
    ("average:1", {"average": True}),
    ("avg:1:0", {"average": True, "ignore_transparent": False}),
    ("dominant_colors:1", {"dominant_colors": True}),
    ("dc:1:1", {"dominant_colors": True, "build_missed": True}),
    ("blurhash:4:3", {"blurhash_x": 4, "blurhash_y": 3}),
    ("bh:9:1", {"blurhash_x": 9, "blurhash_y": 1}),
    ("thumb_hash:1", {"thumb_hash": True}),
    ("th:1", {"thumb_hash": True}),
    ("perceptual_hash:1", {"perceptual_hash": True}),
    ("phash:1", {"perceptual_hash": True}),
    ("ph:1", {"perceptual_hash": True}),
    ("calc_hashsums:sha256:md5:sha256", {"calc_hashsums": ("sha256", "md5")}),
    ("chs:sha1:sha512", {"calc_hashsums": ("sha1", "sha512")}),
    ("chs:md5/chs:", {"calc_hashsums": ()}),
    ("page:3", {"page": 3}),
    ("pg:3", {"page": 3}),
    (f"hashsum:md5:{'AB' * 16}", {"hashsum": ("md5", "ab" * 16)}),
    ("hs:none", {"hashsum": None}),
    ("msr:2.5", {"max_src_resolution": 2.5}),
    ("msfs:1000", {"max_src_file_size": 1000}),
    ("op:ce:1:2/obj_pos:no", {}),
    ("vm:0/do:0/detect_objects:false/cl:0/vts:0/vtk:/video_meta:f", {}),
)

WRONG = (
    "palette:1",
    "palette:257",
    "p:-2",
    "bh:10:1",
    "bh:1:x",
    "chs:md4",
    "crop:-1:3",
    "crop:1:1:nowhere",
    "hs:md5:xyz",
    "hs:md5",
    "pg:-1",
    "s:1:1",
    "vm:1",
    "do:1",
    "cl:5:Bus",
    "vts:3",
    "w:100",
    "nonsense:1",
    "pr:nonsense",
)


def parsed(options: str, **settings: object) -> InfoRequest:
    parser = UrlParser(UrlSettings(allow_unsigned=True, **settings))  # type: ignore[arg-type]
    path = "/".join(part for part in ("/info/unsafe", options, "plain", SOURCE) if part)
    return parser.parse_info(path.encode())


class MeaningTests(SynchronousTestCase):
    def test_by_default_fields_come_from_the_header(self) -> None:
        wanted = parsed("").options
        self.assertEqual(wanted, InfoOptions())
        on = {name for name in InfoOptions.__dataclass_fields__ if getattr(wanted, name) is True}
        self.assertEqual(on, {"size", "format", "dimensions", "exif", "iptc", "xmp", "ignore_transparent"})

    def test_every_option_sets_its_documented_fields(self) -> None:
        for options, fields in MEANINGS:
            request = parsed(options, allow_security_options=True)
            self.assertEqual(request.options, InfoOptions(**fields), options)  # type: ignore[arg-type]
            self.assertEqual(request.source, SOURCE)

    def test_every_name_of_the_table_is_tried_here_or_below(self) -> None:
        tried = {option.split(":")[0] for options, _ in MEANINGS for option in options.split("/")}
        delivery = {"cachebuster", "bypass_cache", "expires", "cache_tags"}
        self.assertEqual(
            {option.name for option in INFO_OPTIONS if not tried & {option.name, *option.aliases}}, delivery
        )

    def test_every_row_is_documented(self) -> None:
        usage = Path(__file__).parents[2].joinpath("docs/usage.md").read_text("utf-8")
        for option in INFO_OPTIONS:
            self.assertIn(f"| `{option.name}` | ", usage)
            self.assertIn(f" | `{option.usage}` | {option.summary}", usage)

    def test_delivery_options_are_separate(self) -> None:
        self.assertEqual(
            parsed("cb:x/exp:99/ct:a:b").delivery, DeliveryOptions(cachebuster="x", expires=99, cache_tags=("a", "b"))
        )

    def test_malformed_options_are_rejected_by_name(self) -> None:
        for option in WRONG:
            error = self.assertRaises(BadOption, parsed, option)
            self.assertIn(option.split(":")[0], error.message)

    def test_options_of_missing_features_are_rejected(self) -> None:
        for option in ("do:1", "cl:3", "vm:1"):
            self.assertIn("not supported", self.assertRaises(BadOption, parsed, option).message)

    def test_limits_need_permission(self) -> None:
        for option in ("msr:100", "msfs:1", "bc:1"):
            self.assertRaises(OptionForbidden, parsed, option)
        self.assertTrue(parsed("bc:1", allow_bypass_cache=True).delivery.bypass_cache)

    def test_only_allowed_options_are_accepted_by_all_their_names(self) -> None:
        presets = {"mine": "bh:4:3", "default": "th:1"}
        rules = {"allowed_info_options": frozenset({"palette", "avg"}), "info_presets": presets}
        self.assertEqual(
            parsed("p:2/average:1", **rules).options, InfoOptions(palette=2, average=True, thumb_hash=True)
        )
        for option in ("s:0", "bh:4:3", "pr:mine"):
            self.assertRaises(OptionForbidden, parsed, option, **rules)
        rules["allowed_info_options"] = frozenset({"preset"})
        self.assertEqual(parsed("pr:mine", **rules).options.blurhash_x, 4)

    def test_an_unknown_option_in_the_list_is_a_mistake(self) -> None:
        error = self.assertRaises(ValueError, UrlParser, UrlSettings(allowed_info_options=frozenset({"width"})))
        self.assertIn("'width'", str(error))

    def test_the_separator_is_the_operators(self) -> None:
        self.assertEqual(parsed("bh,4,3", arguments_separator=",").options, InfoOptions(blurhash_x=4, blurhash_y=3))

    @given(st.lists(st.text(st.characters(exclude_characters="/%?#", exclude_categories=["Cs"]), max_size=20)))
    def test_only_imgforge_errors_are_raised(self, options: list[str]) -> None:
        try:
            parsed("/".join(f"{option}:" for option in options))
        except ImgforgeError as error:
            self.assertEqual(error.status // 100, 4)


class PresetTests(SynchronousTestCase):
    presets = {
        "default": "exif:0/avg:1",
        "hashes": "bh:4:3/th:1",
        "both": "pr:hashes/p:5/msr:7",
        "loop": "pr:loop/cs:1",
    }

    def wanted(self, options: str) -> InfoOptions:
        return parsed(options, info_presets=self.presets).options

    def test_the_default_preset_comes_first_and_can_be_overridden(self) -> None:
        self.assertEqual(self.wanted(""), InfoOptions(exif=False, average=True))
        self.assertEqual(self.wanted("exif:1"), InfoOptions(average=True))

    def test_presets_may_name_presets_and_loosen_limits(self) -> None:
        expected = InfoOptions(
            exif=False,
            average=True,
            blurhash_x=4,
            blurhash_y=3,
            thumb_hash=True,
            palette=5,
            max_src_resolution=7,
        )
        self.assertEqual(self.wanted("pr:both"), expected)

    def test_a_preset_that_names_itself_adds_nothing(self) -> None:
        self.assertEqual(self.wanted("preset:loop"), InfoOptions(exif=False, average=True, colorspace=True))

    def test_info_presets_are_separate_from_image_presets(self) -> None:
        self.assertRaises(BadOption, parsed, "pr:thumb", presets={"thumb": "w:100"})

    def test_only_presets(self) -> None:
        def only(options: str) -> InfoOptions:
            return parsed(options, info_presets=self.presets, info_only_presets=True, only_presets=False).options

        self.assertEqual(
            only("hashes"), InfoOptions(exif=False, average=True, blurhash_x=4, blurhash_y=3, thumb_hash=True)
        )
        self.assertEqual(only("hashes:loop/cb:1/exp:99").colorspace, True)
        self.assertEqual(only("pr:hashes").blurhash_x, 4)
        self.assertEqual(only(""), InfoOptions(exif=False, average=True))
        for options in ("bh:4:3", "hashes/p:5", "nothing"):
            self.assertRaises(BadOption, only, options)

    def test_only_presets_for_images_does_not_apply_to_info(self) -> None:
        self.assertEqual(parsed("p:5", only_presets=True).options, InfoOptions(palette=5))

    def test_a_malformed_preset_is_reported_at_the_start(self) -> None:
        for text in ("w:100", "p:1", "pr:missing"):
            error = self.assertRaises(ValueError, UrlParser, UrlSettings(info_presets={"mine": text}))
            self.assertIn("mine", str(error))

    def test_the_work_of_a_hostile_url_is_bounded(self) -> None:
        self.assertIn("more than", self.assertRaises(BadOption, self.wanted, f"pr{':both' * 1000}").message)
