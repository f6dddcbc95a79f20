"""What a file is, by its content alone."""

from __future__ import annotations

import gzip
import re
import sys
import time
import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.processing import FORMATS, detect_format, needed_for
from imgforge.processing.codecs.available_formats import missing
from imgforge.processing.codecs.extras import EXTRAS

ROOT = Path(__file__).parents[2]

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
MAGIC = {
    "jpeg": b"\xff\xd8\xff\xe0",
    "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF89a",
    "webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    "tiff": b"II*\x00",
    "avif": b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1miafMA1B",
    "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    "jxl": b"\xff\x0a\x00",
    "svg": SVG,
}
NO_SVG = (
    b"<html><svg/></html>",
    b"svg",
    b"<svgx/>",
    b"<svg",
    b"<?xml version='1.0'?><rss/>",
    b"<!-- <svg> --><html/>",
    b"<!DOCTYPE html><html><svg></svg></html>",
    b"text <svg/>",
)
PROLOGUES = (
    b"",
    b"\xef\xbb\xbf",
    b" \r\n\t",
    b'<?xml version="1.0" encoding="UTF-8"?>',
    b'<?xml version="1.0"?>\n<!-- Generator: none -->\n',
    b"<!-- a --><!-- b > c -->",
    b"<!DOCTYPE svg>",
    b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">',
    b'<?xml version="1.0"?><!DOCTYPE svg [ <!ENTITY ns "http://www.w3.org/2000/svg"> ]>\n',
)


class DetectTests(SynchronousTestCase):
    def test_magic_numbers(self) -> None:
        for name, beginning in MAGIC.items():
            self.assertEqual(detect_format(beginning + bytes(64)), name)
        self.assertEqual(detect_format(b"MM\x00*" + bytes(9)), "tiff")
        self.assertEqual(detect_format(b"GIF87a" + bytes(9)), "gif")

    def test_the_brands_of_a_heif_file_decide(self) -> None:
        box = b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif"
        self.assertEqual(detect_format(box), "avif")
        self.assertIsNone(detect_format(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42"))
        self.assertIsNone(detect_format(b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00avif"))  # beyond the box

    def test_an_svg_after_any_prologue(self) -> None:
        for prologue in PROLOGUES:
            for element in (SVG, b"<svg>", b"<svg\n>", b"<s:svg xmlns:s='http://www.w3.org/2000/svg'/>"):
                self.assertEqual(detect_format(prologue + element), "svg", prologue + element)

    def test_a_compressed_svg(self) -> None:
        self.assertEqual(detect_format(gzip.compress(PROLOGUES[4] + SVG)), "svg")
        self.assertIsNone(detect_format(gzip.compress(b"words")))
        self.assertIsNone(detect_format(b"\x1f\x8b" + bytes(40)))

    def test_an_svg_in_utf_16(self) -> None:
        for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
            for prologue in ("", '<?xml version="1.0" encoding="UTF-16"?>', "<!-- \u00e9 -->"):
                body = mark + (prologue + SVG.decode()).encode(encoding)
                self.assertEqual(detect_format(body), "svg", body)
                self.assertEqual(detect_format(gzip.compress(body)), "svg", body)
            for words in NO_SVG:
                self.assertIsNone(detect_format(mark + words.decode().encode(encoding)))

    def test_what_only_mentions_svg_is_none(self) -> None:
        for body in NO_SVG:
            self.assertIsNone(detect_format(body), body)

    def test_a_bomb_is_not_unpacked_beyond_the_window(self) -> None:
        bomb = gzip.compress(b" " * 50_000_000)
        self.assertIsNone(detect_format(bomb))

    def test_prologues_made_to_take_forever_do_not(self) -> None:
        for body in (
            b"<!---->" * 4000 + b"x",
            b"<!-- a --> " * 3000,
            b"<?xml?>" * 4000,
            b"<!DOCTYPE a [" + b"] " * 9000,
            b"<!DOCTYPE a [] >" * 2000,
            b" " * 30000,
            b"<" + b"s" * 30000,
        ):
            started = time.process_time()
            self.assertIsNone(detect_format(body))
            self.assertLess(time.process_time() - started, 5)  # instead of ages

    @given(st.binary(max_size=300))
    def test_any_bytes_are_a_known_format_or_none(self, body: bytes) -> None:
        self.assertIn(detect_format(body), {None, *FORMATS})

    @given(st.sampled_from(sorted(MAGIC)), st.binary(max_size=100), st.integers(0, 40))
    def test_damaged_beginnings_never_raise(self, name: str, noise: bytes, cut: int) -> None:
        self.assertIn(detect_format(MAGIC[name][:cut] + noise), {None, *FORMATS})


class MissingTests(SynchronousTestCase):
    def test_a_client_learns_what_cannot_be_done_and_is_told_to_install_nothing(self) -> None:
        for name, one in FORMATS.items():
            for verb in ("read", "write"):
                said = missing(name, verb).message
                self.assertIn(name, said)
                self.assertNotIn("install", said)
                self.assertEqual("choose another format" in said, verb == "write" and not one.writes)

    def test_an_operator_is_told_the_packages_that_the_extras_of_this_project_name(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        for extra, codec in EXTRAS.items():
            (requirement,) = project["optional-dependencies"][extra]
            self.assertEqual(re.split(r"[<>=]", requirement)[0], codec.package)
            formats = [name for name, one in FORMATS.items() if one.extra == extra]
            self.assertEqual(needed_for(formats), f"{sys.executable} -m pip install {codec.package}")
        self.assertEqual(needed_for(["heic", "bmp", "ico"]), f"{sys.executable} -m pip install pillow pillow-heif")

    def test_no_advice_names_a_distribution_of_another_project(self) -> None:
        """The package index has another project called imgforge."""
        theirs = r"(?<!twisted-)imgforge\[(?!\d)|pip install '?imgforge"
        for path in (*ROOT.glob("*.*"), *ROOT.glob("docs/*"), *ROOT.glob("etc/*"), *ROOT.glob("imgforge/**/*.py")):
            if path.is_file():
                self.assertNotRegex(path.read_text("utf-8", "replace"), theirs, path)
