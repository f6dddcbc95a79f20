"""The controls of the playground: all options, each in a group, and why the operator's settings refuse one."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.demo import GROUPS, PlaygroundSettings, demo_page, option_controls
from imgforge.urls import OPTIONS


def by_name(*allowed: str, security: bool = False, bypass: bool = False) -> dict[str, dict[str, Any]]:
    controls = option_controls(allowed, security=security, bypass=bypass)
    return {control["name"]: control for control in json.loads(json.dumps(controls))}


def settings_in(settings: PlaygroundSettings, *pictures: tuple[str, str]) -> dict[str, Any]:
    body = demo_page(settings, pictures).body.decode()
    document: dict[str, Any] = json.loads(body.partition('id="settings">')[2].partition("</script>")[0])
    return document


class OptionControlTests(SynchronousTestCase):
    def test_every_option_of_the_table_is_in_one_group(self) -> None:
        grouped = [name for names in GROUPS.values() for name in names]
        self.assertEqual(sorted(grouped), sorted(option.name for option in OPTIONS))
        self.assertEqual(list(by_name()), grouped)

    def test_control_has_the_kind_and_the_bounds_of_each_argument(self) -> None:
        controls = by_name()
        (quality,) = controls["quality"]["arguments"]
        self.assertEqual((quality["kind"], quality["low"], quality["high"]), ("integer", 0, 100))
        self.assertEqual(quality["slider"], [0, 100, 1])
        kinds = [(one["name"], one["kind"]) for one in controls["resize"]["arguments"][:4]]
        self.assertEqual(
            kinds, [("resizing_type", "choice"), ("width", "integer"), ("height", "integer"), ("enlarge", "boolean")]
        )
        self.assertEqual(controls["resize"]["short"], "rs")
        self.assertIn("fill-down", controls["resize"]["arguments"][0]["choices"])
        self.assertEqual(controls["duotone"]["arguments"][1]["kind"], "color")

    def test_refused_option_names_the_setting(self) -> None:
        controls = by_name("w", "blur", "max_src_resolution")
        self.assertEqual(controls["width"]["refused"], "")
        self.assertEqual(controls["blur"]["refused"], "")
        self.assertIn("IMGFORGE_ALLOWED_PROCESSING_OPTIONS", controls["height"]["refused"])
        self.assertIn("IMGFORGE_ALLOW_SECURITY_OPTIONS", controls["max_src_resolution"]["refused"])
        self.assertIn("IMGFORGE_ALLOW_BYPASS_CACHE", by_name()["bypass_cache"]["refused"])
        self.assertEqual(by_name(bypass=True, security=True)["bypass_cache"]["refused"], "")
        self.assertEqual(by_name(security=True)["max_src_resolution"]["refused"], "")
        self.assertTrue(by_name()["crop_objects"]["refused"])


class PageTests(SynchronousTestCase):
    def test_presets_are_a_control_and_the_only_one_where_urls_may_have_no_other(self) -> None:
        document = settings_in(PlaygroundSettings(presets=("default", "thumb", "wide")))
        self.assertEqual(document["options"][0]["arguments"][0]["choices"], ["thumb", "wide"])
        self.assertGreater(len(document["options"]), 50)
        document = settings_in(PlaygroundSettings(presets=("thumb",), only_presets=True))
        self.assertEqual([control["name"] for control in document["options"]], ["preset"])
        self.assertEqual(document["start"] + document["tile"] + document["original"], "")

    def test_urls_of_the_page_itself_use_allowed_options_and_the_operators_separator(self) -> None:
        document = settings_in(PlaygroundSettings(allowed_options=("rs",), arguments_separator="~"))
        self.assertEqual(document["start"], "rs~fill~640~400/")
        self.assertEqual(document["tile"], "rs~fit~240~160/")

    def test_hostile_names_of_files_stay_within_the_settings(self) -> None:
        name = "</script><script>alert(1)</script><!--STYLES-->.png"
        page = demo_page(PlaygroundSettings(root="/<b>"), [(name, f"local:///{name}")])
        self.assertNotIn(b"<script>alert", page.body)
        self.assertEqual(settings_in(PlaygroundSettings(), (name, "local:///x"))["pictures"][0]["name"], name)
        self.assertEqual(page.body.count(b"<style>"), 3)

    def test_policy_allows_the_pages_own_scripts_and_styles_by_their_hashes_and_nothing_inline(self) -> None:
        policy = dict(demo_page(PlaygroundSettings()).headers)[b"Content-Security-Policy"].decode()
        rules = {name: values for name, *values in map(str.split, policy.split(";"))}
        self.assertEqual(rules["default-src"], ["'none'"])
        self.assertEqual(rules["connect-src"], ["'self'"])
        for kind in ("script-src", "style-src"):
            self.assertTrue(rules[kind])
            self.assertTrue(all(value.startswith("'sha256-") for value in rules[kind]), kind)
        self.assertEqual(rules["require-trusted-types-for"], ["'script'"])
