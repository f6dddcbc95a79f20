"""The playground in a real browser: typing, errors, the keyboard, dark mode, a small screen, hostile addresses."""

from __future__ import annotations

import base64
import re
from typing import ClassVar
from urllib.parse import quote

import numpy as np
from PIL import Image

from imgforge.urls import OPTIONS, UrlParser, UrlSettings
from tests.support.browser import BrowserCase
from tests.support.pictures import decode, encode, gradient
from tests.support.playground import Playground
from tests.support.process import Origin, Twistd

HOSTILE = '<img src=x onerror="window.pwned=1">\'"><script>window.pwned=1</script>'
# What is typed into controls of several values of a kind.
REPEATED = {
    "format_quality": ["jpeg:50:webp:60"],
    "skip_processing": ["gif:png"],
    "cache_tags": ["a:b"],
    "blur_areas": ["3:0.1:0.1:0.2:0.2"],
    "hashsum": ["md5", "d41d8cd98f00b204e9800998ecf8427e"],
    "gravity": ["fp", "0.2", "0.3"],
    "auto_rotate": ["0"],
    "rotate": ["90"],
    "filename": ["a b/\N{LATIN SMALL LETTER U WITH DIAERESIS}?#.jpg", "0"],
}
# The path that the page makes of each option by itself, and the one that it makes of what it reads in that path.
EVERY_OPTION = """(typed) => {
  const value = ({ kind, low, high, choices }) => ({
    boolean: "1", color: "#a0b1c2", base64: "Gr\u00fc\u00dfe / 50 %", text: "a b%2F",
    choice: choices[1], integer: String(high ?? (low ?? 0) + 7),
    number: high === 1 ? "0.25" : String(high ?? (low ?? 0) + 7.5),
  })[kind];
  const paths = {};
  for (const control of settings.options.filter((one) => one.arguments.length)) {
    const values = new Map([[control.name, typed[control.name] || control.arguments.map(value)]]);
    const path = pathOf({ source: "sample://logo", values, rest: [] });
    paths[control.name] = [path, pathOf(parsePath(path))];
  }
  return paths;
}"""


def colourfulness(image: Image.Image) -> float:
    """The mean distance between the largest and the smallest channel of a pixel."""
    pixels = np.asarray(image, dtype=np.float64)
    return float(np.mean(pixels.max(axis=-1) - pixels.min(axis=-1)))


def edges(image: Image.Image) -> float:
    """How large the largest steps between neighbours in a row are, but for a few: a blur has none."""
    return float(np.percentile(np.abs(np.diff(np.asarray(image.convert("L"), dtype=np.float64), axis=1)), 99.8))


def brightness(colour: str) -> float:
    """The mean of the channels of a CSS colour, rgb(...)."""
    return float(np.mean([float(number) for number in re.findall(r"[\d.]+", colour)[:3]]))


class PlaygroundTests(BrowserCase):
    running: ClassVar[Twistd]
    url: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.running = Twistd({"PROCESSES": "1", "CACHE_TYPE": "memory"}).start()
        cls.url = f"http://127.0.0.1:{cls.running.port}/"

    @classmethod
    def tearDownClass(cls) -> None:
        cls.running.stop()
        cls.running.clean()
        super().tearDownClass()

    def test_typing_an_option_changes_the_image_its_url_and_the_figures(self) -> None:
        page = self.open(self.url)
        self.assertGreater(colourfulness(self.picture(page)), 30)
        before = self.running.get("/" + page.get_attribute("#open", "href"))
        page.fill("#search", "saturation grey")
        page.get_by_label("saturation", exact=True).fill("0")
        self.settle(page)
        self.assertLess(colourfulness(self.picture(page)), 2)
        self.assertGreater(colourfulness(self.picture(page, "#before-image")), 30)
        self.assertEqual(page.input_value("#path"), "/rs:fill:640:400/sa:0/f:webp/plain/sample://landscape")
        self.assertEqual(page.evaluate("location.hash"), "#" + page.input_value("#path"))
        reply = self.running.get("/" + page.get_attribute("#open", "href"))
        self.assertNotEqual(reply.body, before.body)
        self.assertEqual(decode(reply.body).size, (640, 400))
        shown = page.inner_text("#figures")
        for text in ("640 \N{MULTIPLICATION SIGN} 400", "of 101.4 kB", f"{len(reply.body) / 1000:.1f} kB", "process"):
            self.assertIn(text, shown)
        self.assertRegex(shown, r"\d+ ms")
        self.assertEqual(page.inner_text("#count"), "3")
        page.click("button[aria-label='Remove saturation']")
        self.settle(page)
        self.assertIn("HIT memory", page.inner_text("#cache"))
        self.assertGreater(colourfulness(self.picture(page)), 30)
        self.assertEqual([url for url in self.requests if not url.startswith((self.url, "blob:", "data:"))], [])
        self.assertEqual(self.faults, [])

    def test_path_that_is_typed_or_pasted_sets_the_controls(self) -> None:
        page = self.open(self.url)
        # A text with spaces, accents and a slash, as base64; an option without a control of its own; a format.
        words = "Grüße / 50 % & mehr"
        text = base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")
        page.fill("#path", f"{self.url}c2ln/g:fp:0.2:0.3/wmt:{text}/pr:thumb/w:9/-/bl:4/plain/sample://logo@png")
        self.settle(page)
        self.assertEqual(page.input_value("#source"), "sample://logo")
        self.assertEqual(page.input_value("#option-gravity-0"), "fp")
        self.assertEqual(page.input_value("#option-gravity-2"), "0.3")
        self.assertEqual(page.input_value("#option-watermark_text-0"), words)
        self.assertEqual(page.input_value("#option-format-0"), "png")
        self.assertEqual(
            page.input_value("#rest"), "pr:thumb/w:9/-/bl:4"
        )  # w:9 comes after the preset: it wins there too

    def test_every_option_has_a_control_whose_values_the_server_reads(self) -> None:
        page = self.open(self.url)
        paths = page.evaluate(EVERY_OPTION, REPEATED)
        names = [option.name for option in OPTIONS if option.kind != "absent"]
        self.assertEqual(sorted(paths), sorted(names))
        self.assertEqual(page.locator("#groups .option").count(), len(OPTIONS))
        parser = UrlParser(UrlSettings(allow_unsigned=True, allow_security_options=True, allow_bypass_cache=True))
        neutral = parser.parse(b"/unsafe/plain/sample://logo")
        for name, (path, again) in paths.items():
            request = parser.parse(b"/unsafe" + path.encode("ascii"))
            self.assertEqual(request.source, "sample://logo")
            self.assertNotEqual((request.options, request.delivery), (neutral.options, neutral.delivery), name)
            self.assertEqual(again, path)

    def test_errors_are_shown_where_they_arise_and_go_away(self) -> None:
        page = self.open(f"{self.url}#/q:300/plain/sample://landscape")
        self.assertIn("400 option 'q:300'", page.inner_text("#failure"))
        self.assertIn("from 0 to 100", page.inner_text("#option-quality-problem"))
        self.assertEqual(page.get_attribute("#option-quality-0", "aria-invalid"), "true")
        page.click("text=Go to quality")
        self.assertEqual(page.evaluate("document.activeElement.id"), "option-quality-0")
        page.keyboard.press("Control+A")
        page.keyboard.type("30")
        self.settle(page)
        self.assertTrue(page.is_hidden("#failure"))
        self.assertTrue(page.is_hidden("#option-quality-problem"))
        self.assertTrue(page.is_visible("#after-image"))
        page.fill("#source", "sample://nothing")
        self.settle(page)
        self.assertIn("no such sample", page.inner_text("#source-problem"))
        self.assertIn("No result", page.inner_text("#after-none"))
        page.click("button[data-source='sample://logo']")
        self.settle(page)
        self.assertTrue(page.is_hidden("#source-problem"))
        page.locator("#option-width-0").press_sequentially("-e")
        self.settle(page)
        self.assertIn("not a number", page.inner_text("#option-width-problem"))
        page.fill("#path", "/w:10")
        self.assertIn("the path has no source", page.inner_text("#path-problem"))
        self.assertEqual(self.faults, [])

    def test_everything_is_done_by_keyboard_alone(self) -> None:
        page = self.open(self.url)
        sharp = edges(self.picture(page))
        page.keyboard.press("/")
        page.keyboard.type("gaussian")
        for _ in range(8):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "option-blur-0":
                break
        page.keyboard.type("8")
        self.settle(page)
        self.assertIn("/bl:8/", page.input_value("#path"))
        self.assertLess(edges(self.picture(page)), sharp / 3)
        page.keyboard.press("ArrowUp")
        self.settle(page)
        self.assertIn("/bl:9/", page.input_value("#path"))
        page.keyboard.press("Escape")
        page.keyboard.press("v")
        self.assertEqual(page.get_attribute("#viewer", "data-view"), "slider")
        page.focus("#divider")
        page.keyboard.press("Home")
        self.assertEqual(page.evaluate("document.getElementById('viewer').style.getPropertyValue('--at')"), "0%")
        page.keyboard.press("?")
        self.assertTrue(page.is_visible("#shortcuts"))
        page.keyboard.press("Escape")
        self.assertTrue(page.is_hidden("#shortcuts"))
        page.keyboard.press("s")
        page.keyboard.type("sample://logo")
        self.settle(page)
        self.assertIn("plain/sample://logo", page.input_value("#path"))
        unlabelled = page.evaluate(
            "[...document.querySelectorAll('input,select,button,a')].filter((one) => !one.labels?.length"
            " && !one.ariaLabel && !one.textContent.trim() && one.ariaHidden !== 'true').map((one) => one.outerHTML)"
        )
        self.assertEqual(unlabelled, [])
        self.assertEqual(self.faults, [])

    def test_page_of_the_command_shows_signed_images_and_hides_the_token(self) -> None:
        playground = Playground(KEY="ab" * 32, SALT="cd" * 32, PRESETS="thumb=rs:fill:50:40", SECRET="a-secret")
        self.addCleanup(playground.clean)
        page = self.open(playground.address)
        self.assertNotIn(playground.token, page.url)
        self.assertIn("signed", page.inner_text("#signature"))
        self.assertGreater(colourfulness(self.picture(page)), 30)
        page.click("text=Clear")
        page.select_option("#option-preset-0", "thumb")
        self.settle(page)
        self.assertIn("/pr:thumb/plain/", page.get_attribute("#open", "href"))
        self.assertIn("50 \N{MULTIPLICATION SIGN} 40", page.inner_text("#pixels"))
        page.locator("button[data-source='sample://logo'] img[src^='blob:']").wait_for()
        page.reload()
        self.settle(page)
        self.assertTrue(page.is_visible("#after-image"))
        self.assertEqual([url for url in self.requests if playground.token in url], [])
        self.assertEqual(self.faults, [])
        page.fill("#source", "http://127.0.0.1:1/a.png")
        self.settle(page)
        self.assertIn("loopback", page.inner_text("#source-problem"))
        self.assertIn("IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES", page.inner_text("#failure"))
        self.assertEqual(self.faults, [])
        stranger = self.open(playground.address.partition("#")[0])
        self.assertIn("open the address that imgforge playground has printed", stranger.inner_text("#failure"))

    def test_directory_that_cannot_be_read_is_told_beside_the_samples(self) -> None:
        running = Twistd({"PROCESSES": "1"}, arguments=("--try", __file__))
        self.addCleanup(running.clean)
        page = self.open(f"http://127.0.0.1:{running.start().port}/")
        self.assertEqual(page.inner_text("#root"), f"{__file__} cannot be read (Not a directory): samples")
        page.locator("button[data-source='sample://logo']").wait_for()
        self.assertEqual(self.faults, [])

    def test_path_of_a_link_is_neither_signed_nor_fetched_before_its_user_asks(self) -> None:
        origin = Origin({"/a.png": encode(gradient(60, 40), "PNG"), "/b.png": encode(gradient(60, 40), "PNG")})
        stranger = Origin({"/": b"<!doctype html><title>elsewhere</title>"}, {"Content-Type": "text/html"})
        playground = Playground(KEY="ab" * 32, SALT="cd" * 32, ALLOW_LOOPBACK_SOURCE_ADDRESSES="1", SECRET="a-secret")
        for one in (origin, stranger):
            self.addCleanup(one.close)
        self.addCleanup(playground.clean)
        base = playground.address.partition("#")[0]
        linked = f"{base}#/w:31/plain/{origin.url('/a.png')}"
        page = self.open(playground.address)  # from here on the tab has the token
        page.keyboard.press("e")

        page.goto(stranger.url("/"))
        self.asked.clear()
        with page.expect_navigation():
            page.evaluate("(url) => { location.href = url; }", linked)
        page.locator("#unasked").wait_for()
        self.assertEqual(page.inner_text("#unasked-source"), origin.url("/a.png"))
        page.keyboard.press("e")
        page.fill("#option-height-0", "20")  # whatever else is pressed or typed asks for nothing
        page.select_option("#accept", "image/*;q=0.8")
        page.locator("button[data-source='sample://logo'] img[src^='blob:']").wait_for()
        page.wait_for_timeout(600)  # longer than the pause after which a change is shown
        self.assertEqual(self.paths_with(origin.host), [])
        self.assertEqual(origin.requests, [])
        self.assertIsNone(page.get_attribute("#open", "href"))

        page.click("#ask")
        self.settle(page)
        self.assertTrue(page.is_hidden("#unasked"))
        self.assertIn("\N{MULTIPLICATION SIGN} 20", page.inner_text("#pixels"))
        self.assertNotEqual(origin.requests, [])
        page.reload()  # the user's own by now
        self.settle(page)
        self.assertTrue(page.is_hidden("#unasked"))
        self.assertTrue(page.is_visible("#after-image"))

        origin.requests.clear()
        page.evaluate("(url) => { location.href = url; }", f"{base}#/w:31/plain/{origin.url('/b.png')}")
        page.locator("#unasked").wait_for()  # in the same document, too
        self.settle(page)
        self.assertTrue(page.is_hidden("#after-image"))
        page.click("button[data-source='sample://logo']")
        self.settle(page)
        self.assertTrue(page.is_visible("#after-image"))
        self.assertEqual([path for path, _ in origin.requests if path == "/b.png"], [])
        self.assertEqual(self.faults, [])

    def paths_with(self, text: str) -> list[str]:
        """What the page has asked for, and told in its questions, about *text*."""
        return [asked for asked in self.asked if text in asked]

    def test_explanation_is_beside_the_result_and_follows_it(self) -> None:
        page = self.open(f"{self.url}#/rs:fill:640:400/plain/sample://landscape")
        page.keyboard.press("e")
        page.locator("#explained h3").first.wait_for()
        shown = page.inner_text("#explained").lower()
        for text in (
            "format",
            "stages",
            "1600 \N{MULTIPLICATION SIGN} 1000",
            "640 \N{MULTIPLICATION SIGN} 400",
            "settings",
        ):
            self.assertIn(text, shown)
        page.fill("#path", f"/w:{quote(HOSTILE, safe='')}/plain/sample://landscape")
        page.locator("#explained .problem").wait_for()
        self.assertIn("width must be a whole number", page.inner_text("#explained .problem"))
        self.assertIsNone(page.evaluate("window.pwned ?? null"))
        self.assertEqual(self.faults, [])

    def test_click_on_the_original_sets_the_focus_point(self) -> None:
        page = self.open(f"{self.url}#/rs:fill:100:100/plain/sample://landscape")
        box = page.locator("#before-image").bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
        self.settle(page)
        self.assertRegex(page.input_value("#path"), r"/g:fp:0\.7[456]:0\.(49|5|50|51)/")

    def test_dark_mode_is_the_systems_or_chosen_and_kept(self) -> None:
        page = self.open(self.url, color_scheme="dark")
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        text = "getComputedStyle(document.body).color"
        self.assertLess(brightness(page.evaluate(ground)), 60)
        self.assertGreater(brightness(page.evaluate(text)), 200)
        page.keyboard.press("d")
        self.assertGreater(brightness(page.evaluate(ground)), 220)
        self.assertEqual(page.get_attribute("#theme", "aria-pressed"), "false")
        page.reload()
        self.settle(page)
        self.assertGreater(brightness(page.evaluate(ground)), 220)
        light = self.open(self.url, color_scheme="light")
        self.assertGreater(brightness(light.evaluate(ground)), 220)
        light.click("#theme")
        self.assertLess(brightness(light.evaluate(ground)), 60)

    def test_small_screen_has_no_sideways_scrolling_and_keeps_the_result_in_view(self) -> None:
        page = self.open(self.url, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 360)
        page.tap("text=Blur and sharpness")
        control = page.get_by_label("blur", exact=True)
        control.scroll_into_view_if_needed()
        control.fill("6")
        self.settle(page)
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 360)
        for name in ("#after-image", "#option-blur-0"):
            box = page.locator(name).bounding_box()
            self.assertGreaterEqual(box["y"], 0, name)
            self.assertLessEqual(box["y"] + box["height"], 740, name)
        self.assertGreaterEqual(page.locator("#option-blur-0").bounding_box()["height"], 40)

    def test_hostile_addresses_are_text(self) -> None:
        page = self.open(f"{self.url}#/{HOSTILE}")
        for path in (
            f"/pr:{quote(HOSTILE, safe='')}/plain/sample://landscape",
            f"/w:{quote(HOSTILE, safe='')}/f:{quote(HOSTILE, safe='')}/plain/sample://landscape",
            f"/plain/{quote(HOSTILE, safe='')}",
            "/plain/javascript:window.pwned=1",
            "/__proto__:1/constructor:2/plain/sample://landscape",
        ):
            page.goto("about:blank")
            page.goto(f"{self.url}#{path}")
            self.settle(page)
            self.assertIsNone(page.evaluate("window.pwned ?? null"), path)
            self.assertEqual(page.locator("img[src=x]").count(), 0)
            self.assertFalse((page.get_attribute("#open", "href") or "").startswith("javascript:"))
            self.assertEqual(self.faults, [], path)
        self.assertIn("unknown option '__proto__'", page.inner_text("#failure"))
