"""`explain`: where options come from, the signature, the format, the stages, and hostile paths."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings, load_settings
from imgforge.processing import STAGES
from imgforge.service import explain
from imgforge.urls import NEEDS_PLAIN, Signer

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}
OPEN = {"IMGFORGE_ALLOW_UNSIGNED": "true"}
BROWSER = "image/avif,image/webp,image/apng,*/*;q=0.8"


def with_settings(**variables: str) -> Settings:
    return load_settings(None, {**OPEN, **variables})


def explained(path: str, variables: dict[str, str] | None = None, **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = explain(with_settings(**(variables or {})), path, **arguments).as_json()
    json.dumps(result)
    return result


def origins(result: dict[str, Any], pipeline: int = 1) -> dict[str, tuple[object, str]]:
    return {one["name"]: (one["value"], one["from"]) for one in result["options"] if one["pipeline"] == pipeline}


def acting(result: dict[str, Any]) -> list[tuple[str, list[int], list[int]]]:
    return [(one["stage"], one["before"], one["after"]) for one in result["stages"] if one["acts"]]


class ForeignFormTests(SynchronousTestCase):
    def test_refused_url_of_another_server_is_told_of(self) -> None:
        for path, server in (
            ("/unsafe/300x200/smart/x.example/a.jpg", "thumbor"),
            ("/unsafe/fit-in/300x/http://x/a.jpg", "thumbor"),
            ("http://cdn.example/4Hh1bOtv1nTAs5ZXCmbRz0qnHVE=/10x10:90x90/-30x-20/left/x.example/a.b.jpg", "thumbor"),
            ("/insecure/fill/300/400/sm/0/aHR0cDovL3gvYS5qcGc.png", "basic form"),
        ):
            self.assertIn(server, explained(path)["hint"] or "", path)
            self.assertEqual(NEEDS_PLAIN in explained(path)["hint"], server == "thumbor", path)
        told = explained("/unsafe/fit-in/300x/http://x/a.jpg")  # the error and the hint say it in the same words
        self.assertTrue(all(NEEDS_PLAIN in text for text in (str(told["errors"]), told["hint"])), told)
        for path in ("/unsafe/w:3/plain/http://x/a.jpg", "/unsafe/q:300/plain/http://x/300x200/a.jpg", "/x", ""):
            self.assertIsNone(explained(path)["hint"], path)


class OptionOriginTests(SynchronousTestCase):
    PRESETS = {"IMGFORGE_PRESETS": "default=q:60/dpr:2,card=pr:thumb/bg:ff0000,thumb=rs:fill:300:200"}

    def test_each_option_names_the_url_the_preset_or_the_setting_that_decides_it(self) -> None:
        result = explained("/unsafe/pr:card/w:400/-/bl:3/plain/http://x/a.jpg@png", self.PRESETS)
        found = origins(result)
        self.assertEqual(found["width"], (400, "URL"))
        self.assertEqual(found["height"], (200, "preset thumb"))
        self.assertEqual(found["background"], ("ff0000", "preset card"))
        self.assertEqual(found["quality"], (60, "default preset"))
        self.assertEqual(found["format"], ("png", "URL"))
        self.assertEqual(found["auto_rotate"], (True, "setting"))
        self.assertEqual(origins(result, 2), {"blur": (3.0, "URL")})
        setting = next(one["setting"] for one in result["options"] if one["name"] == "auto_rotate")
        self.assertEqual(setting, "IMGFORGE_AUTO_ROTATE")
        self.assertIn("IMGFORGE_AUTO_ROTATE", [one["name"] for one in result["settings"]])

    def test_presets_are_expanded_with_whoever_names_them(self) -> None:
        self.assertEqual(
            explained("/unsafe/pr:card/plain/http://x/a.jpg", self.PRESETS)["presets"],
            [
                {"name": "default", "from": "default", "options": ["q:60", "dpr:2"]},
                {"name": "card", "from": "URL", "options": ["pr:thumb", "bg:ff0000"]},
                {"name": "thumb", "from": "preset card", "options": ["rs:fill:300:200"]},
            ],
        )

    def test_bare_presets_of_presets_only_urls_count_as_presets(self) -> None:
        result = explained("/unsafe/thumb/plain/http://x/a.jpg", {**self.PRESETS, "IMGFORGE_ONLY_PRESETS": "true"})
        self.assertEqual(origins(result)["width"], (300, "preset thumb"))
        self.assertIn("IMGFORGE_ONLY_PRESETS", [one["name"] for one in result["settings"]])

    def test_client_hints_set_what_the_url_leaves_open(self) -> None:
        result = explained(
            "/unsafe/h:100/plain/http://x/a.jpg",
            {"IMGFORGE_ENABLE_CLIENT_HINTS": "true"},
            headers={"sec-ch-dpr": "2", "sec-ch-width": "400"},
            size=(4000, 3000),
        )
        found = origins(result)
        self.assertEqual((found["width"], found["dpr"]), ((200, "client hint"), (2.0, "client hint")))

    def test_sides_that_follow_from_the_source_are_computed(self) -> None:
        found = origins(explained("/unsafe/w:400/plain/http://x/a.jpg", size=(4000, 3000)))
        self.assertEqual(found["height"], (300, "computed"))

    def test_info_options_are_explained(self) -> None:
        result = explained("/info/unsafe/palette:8/plain/http://x/a.jpg")
        self.assertEqual((result["kind"], origins(result)["palette"]), ("info", (8, "URL")))
        self.assertEqual((result["format"]["chosen"], result["stages"]), ("json", []))


class SignatureTests(SynchronousTestCase):
    PATH = "/w:3/plain/http://x/a.jpg"

    def verdict(self, url: str, **variables: str) -> dict[str, Any]:
        settings_ = load_settings(None, {**KEYS, **variables})
        return explain(settings_, url).as_json()

    def test_good_signature_names_its_key(self) -> None:
        signed = Signer(b"\xaa" * 32, b"\xbb" * 32).sign(self.PATH)
        result = self.verdict(f"https://cdn.example{signed}")
        self.assertEqual((result["signature"]["valid"], result["signature"]["key"], result["error"]), (True, 1, None))

    def test_wrong_signature_is_diagnosed_and_the_rest_is_explained_all_the_same(self) -> None:
        signed = Signer(b"\xaa" * 32, b"").sign(self.PATH)
        result = self.verdict(signed)
        self.assertIn("salt was left out", result["signature"]["mistakes"][0])
        self.assertNotIn("imgforge explain", result["errors"][0]["cure"])
        self.assertEqual(
            (result["error"], result["source"]), ("the signature does not match the path", "http://x/a.jpg")
        )
        self.assertEqual(origins(result)["width"], (3, "URL"))

    def test_nothing_reveals_keys(self) -> None:
        shown = json.dumps(self.verdict("/AQIDBAUGBwgJCgsM/w:3/plain/http://x/a.jpg"))
        signed = Signer(b"\xaa" * 32, b"\xbb" * 32).sign(self.PATH)
        for secret in ("aaaa", "bbbb", signed[1:30]):
            self.assertNotIn(secret, shown)


class SecretTests(SynchronousTestCase):
    def test_source_and_watermark_urls_lose_their_query_and_password(self) -> None:
        mark = "aHR0cDovL3U6cHc5QHgvbS5wbmc_dG9rZW49czNjcjN0"  # http://u:pw9@x/m.png?token=s3cr3t
        result = explained(f"/unsafe/wm:1/wmu:{mark}/plain/http://u:pw9%40x/a.jpg%3Ftoken=s3cr3t")
        self.assertEqual((result["error"], result["source"]), (None, "http://x/a.jpg"))
        self.assertEqual(origins(result)["watermark_url"], ("http://x/m.png", "URL"))
        self.assertNotIn("s3cr3t", json.dumps(result))


class FormatTests(SynchronousTestCase):
    def format_of(self, path: str, accept: str = BROWSER, **variables: str) -> tuple[str, str]:
        found = explained(path, variables, accept=accept)["format"]
        return found["chosen"], found["why"]

    def test_reason_is_that_of_the_rule_that_decided(self) -> None:
        path = "/unsafe/w:3/plain/http://x/a."
        for chosen, why, suffix, variables in (
            ("jpeg", "the source's own", "jpg", {}),
            ("jpeg", "first of them", "tiff", {}),
            ("webp", "the client accepts it", "jpg", {"IMGFORGE_AUTO_WEBP": "1"}),
            ("webp", "prefers it to the format", "jpg@png", {"IMGFORGE_ENFORCE_WEBP": "1"}),
            ("png", "the URL names it", "jpg@png", {"IMGFORGE_AUTO_WEBP": "1"}),
            ("webp", "IMGFORGE_DEFAULT_FORMAT", "jpg", {"IMGFORGE_DEFAULT_FORMAT": "webp"}),
            ("best", "smallest file", "jpg@best", {}),
            ("svg", "as it is", "svg", {}),
        ):
            name, reason = self.format_of(path + suffix, **variables)
            self.assertEqual((name, why in reason), (chosen, True), (suffix, reason))

    def test_raw_has_no_format_and_no_stage(self) -> None:
        result = explained("/unsafe/raw:1/plain/http://x/a.jpg", size=(100, 100))
        self.assertEqual((result["kind"], result["format"]["chosen"], result["stages"]), ("raw", None, []))
        self.assertEqual(result["cache"]["result"], None)


class StageTests(SynchronousTestCase):
    def test_stages_are_the_engines_with_the_sizes_of_a_black_image(self) -> None:
        result = explained("/unsafe/rs:fill:400:200/pd:10/plain/http://x/a.jpg", size=(4000, 3000))
        self.assertEqual([one["stage"] for one in result["stages"]], [stage.__name__ for stage in STAGES])
        self.assertEqual(
            acting(result),
            [
                ("scale_on_load", [4000, 3000], [500, 375]),
                ("scale", [500, 375], [400, 300]),
                ("crop_to_result", [400, 300], [400, 200]),
                ("pad", [400, 200], [420, 220]),
                ("flatten", [420, 220], [420, 220]),
            ],
        )
        self.assertEqual(result["sizes"], {"source": [4000, 3000], "result": [420, 220]})

    def test_without_a_size_the_stages_are_named_only(self) -> None:
        stages = explained("/unsafe/w:3/-/w:2/plain/http://x/a.jpg")["stages"]
        self.assertEqual(len(stages), 2 * len(STAGES))
        self.assertEqual({(one["before"], one["after"]) for one in stages}, {(None, None)})

    def test_source_file_is_what_the_stages_see(self) -> None:
        picture = Image.new("RGB", (300, 200), "white")
        picture.paste("black", (100, 50, 200, 150))
        file = BytesIO()
        picture.save(file, "png")
        result = explained("/unsafe/t:10/plain/http://x/a.jpg", source=file.getvalue())
        self.assertEqual(acting(result)[0], ("trim", [300, 200], [100, 100]))
        self.assertEqual(result["format"]["chosen"], "png")

    def test_errors_of_the_engine_and_broken_files_are_the_error(self) -> None:
        for arguments, message in (
            ({"size": (30000, 3000)}, "more than 50 megapixels"),
            ({"size": (60000, 60000)}, "megapixels"),
            ({"size": (0, 5)}, "megapixels"),
            ({"source": b"<html>"}, "no image of a known format"),
        ):
            result = explained("/unsafe/w:3/plain/http://x/a.jpg", **arguments)
            self.assertIn(message, result["error"])
        result = explained("/unsafe/rs:force:16000:16000/el:1/-/bl:3/plain/http://x/a.jpg", size=(100, 100))
        self.assertIn("512 MiB", result["error"])


class ClientTests(SynchronousTestCase):
    def keys(self, variables: dict[str, str], **headers: str) -> object:
        path = "/unsafe/w:3/plain/http://x/a.jpg"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return explained(path, variables, headers=named)["cache"]["result"]

    def test_headers_and_cookies_that_vary_the_key_do(self) -> None:
        for variables, headers in (
            ({"IMGFORGE_CACHE_KEY_HEADERS": "X-Site"}, {"X_Site": "a"}),
            ({"IMGFORGE_CACHE_KEY_COOKIES": "site"}, {"Cookie": "other=b; site=a"}),
            ({"IMGFORGE_REQUEST_HEADERS_PASSTHROUGH": "X-Site"}, {"X_Site": "a"}),
        ):
            self.assertNotEqual(self.keys(variables), self.keys(variables, **headers))
            self.assertEqual(self.keys({}), self.keys({}, **headers))


class HostilePathTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=80))
    def test_any_text_has_an_explanation(self, text: str) -> None:
        for path in (text, f"/unsafe/{text}/plain/http://x/a.jpg", f"/unsafe/w:3/plain/{text}"):
            explained(path)

    def test_refusals_are_the_servers_own_words(self) -> None:
        for path, message in (
            ("", "the path is not /<signature>/<options>/<source>"),
            ("//unsafe/plain/http://x/a.jpg", "the path begins with two slashes: the part of the signature is empty"),
            ("/unsafe/wdth:3/plain/http://x/a.jpg", "unknown option 'wdth'"),
            ("/unsafe/exp:1/plain/http://x/a.jpg", "the URL has expired"),
            ("/unsafe/\ud800/plain/http://x/a.jpg", "the path is not UTF-8"),
            ("/unsafe/" + "w:3/" * 300 + "plain/x", "more than 200 options"),
        ):
            self.assertIn(message, explained(path)["error"], path[:40])
        cases: tuple[tuple[str, dict[str, str], str | None], ...] = (
            ("a.jpg", {}, "no source for 'a.jpg': this server knows http://, https://"),
            ("s3://b/a.jpg", {}, "no source for 's3': IMGFORGE_USE_S3 is not set"),
            ("a.jpg", {"IMGFORGE_BASE_URL": "http://x/"}, None),
            ("s3://b/a.jpg", {"IMGFORGE_USE_S3": "true"}, None),
        )
        for source, variables, refusal in cases:
            self.assertEqual(explained(f"/unsafe/plain/{source}", variables)["error"], refusal)
        refused = explained("/unsafe/plain/http://y/a.jpg", {"IMGFORGE_ALLOWED_SOURCES": "http://x/"})
        self.assertIn("not among those", refused["error"])

    def test_missing_file_of_the_settings_only_costs_the_key(self) -> None:
        result = explained("/unsafe/w:3/plain/http://x/a.jpg", {"IMGFORGE_WATERMARK_PATH": "/nonexistent.png"})
        self.assertEqual((result["error"], result["cache"]["result"]), (None, None))
        self.assertIn("/nonexistent.png", result["cache"]["why"])

    def test_errors_come_with_their_cure(self) -> None:
        error = explained("/unsafe/wdth:3/plain/http://x/a.jpg")["errors"][0]
        self.assertEqual((error["status"], error["see"]), (400, "docs/errors.md#unknown-option"))
        self.assertIn("IMGFORGE_ARGUMENTS_SEPARATOR", error["settings"])

    def test_options_before_the_mistake_are_shown(self) -> None:
        variables = {"IMGFORGE_PRESETS": "a=w:3"}
        result = explained("/unsafe/pr:a/bogus:1/plain/http://x/a.jpg", variables)
        self.assertEqual(result["presets"][0]["options"], ["w:3"])
        self.assertIn("bogus", result["error"])
