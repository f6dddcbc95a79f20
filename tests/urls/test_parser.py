"""The grammar of paths: parsing, and building."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadOption, BadPath, ImgforgeError, OptionForbidden
from imgforge.model import ImageRequest
from imgforge.urls import Signer, SourceCipher, UrlParser, UrlSettings, build_path

SOURCE = "http://origin.example/some/a.jpg"


def parsed(path: str, **settings: object) -> ImageRequest:
    return UrlParser(UrlSettings(allow_unsigned=True, **settings)).parse(f"/unsafe{path}".encode())  # type: ignore[arg-type]


def encoded(source: str) -> str:
    return base64.urlsafe_b64encode(source.encode()).decode().rstrip("=")


class SourceTests(SynchronousTestCase):
    def assert_bad(self, path: str, words: str = "") -> None:
        with self.assertRaises(BadPath) as caught:
            parsed(path)
        self.assertIn(words, caught.exception.message)

    def test_plain_sources_are_percent_decoded_once(self) -> None:
        self.assertEqual(parsed(f"/plain/{quote(SOURCE, safe='')}").source, SOURCE)
        self.assertEqual(parsed("/plain/http://x/a%2520b").source, "http://x/a%20b")

    def test_the_format_follows_an_at_sign(self) -> None:
        request = parsed(f"/plain/{SOURCE}@webp")
        self.assertEqual((request.source, request.options.format), (SOURCE, "webp"))
        self.assertEqual(parsed(f"/plain/{SOURCE}@jpg").options.format, "jpeg")
        self.assertIsNone(parsed(f"/plain/{SOURCE}@").options.format)

    def test_base64_may_be_split_and_padded(self) -> None:
        text = encoded(SOURCE)
        for path in (text, f"{text[:5]}/{text[5:20]}/{text[20:]}", text + "=" * (-len(text) % 4)):
            self.assertEqual(parsed(f"/{path}.png").source, SOURCE)
            self.assertEqual(parsed(f"/{path}.png").options.format, "png")

    def test_a_trailing_dot_is_not_a_format(self) -> None:
        self.assertIsNone(parsed(f"/{encoded(SOURCE)}.").options.format)

    def test_malformed_sources_are_named(self) -> None:
        self.assert_bad(f"/plain/{SOURCE}@png@jpg", "more than one format")
        self.assert_bad(f"/plain/{SOURCE}@PNG", "'PNG'")
        self.assert_bad(f"/{encoded(SOURCE)}.a.b", "more than one format")
        self.assert_bad("/plain/", "missing")
        self.assert_bad("/w:10", "missing")
        self.assert_bad("/plain/http://x/%zz", "percent-escape")
        self.assert_bad("/plain/http://x/%ff", "UTF-8")
        self.assert_bad("/plain/http://x/%0d%0aSet-Cookie:1", "control character")
        self.assert_bad("/plain/http://x/%00", "control character")
        self.assert_bad("/***", "base64")
        self.assert_bad("/aHR0+A", "URL-safe")
        self.assert_bad("/=.png", "missing")
        self.assert_bad("/enc/aHR0cA", "encrypted")
        self.assert_bad(f"/{encoded('http://x/' + chr(10))}", "control character")

    def test_the_error_names_the_part_that_ends_the_options(self) -> None:
        for part in ("w300", "rs:fill/300", "w:10/sharpen"):
            self.assert_bad(f"/{part}/plain/{SOURCE}@png", f"{part.rpartition('/')[2]!r} is neither an option")

    def test_urls_of_thumbor_are_told_of_plain(self) -> None:
        told = "is neither an option with arguments nor a source; a source URL needs plain/ before it"
        for source in ("http://x.example/a.b.jpg", "https:/x/a.jpg", "http%3A%2F%2Fx%2Fa.jpg", "HTTP:%2f%2fx/a.jpg"):
            self.assert_bad(f"/300x200/smart/{source}", f"'300x200' {told}")
            self.assert_bad(f"/fit-in/300x200/filters:quality(80)/{source}", f"'fit-in' {told}")
        self.assert_bad("/300x200/smart/x.example/a.jpg", "a source URL needs plain/")

    def test_control_characters_in_options_are_rejected(self) -> None:
        for part in ("cb:a\rb", "cb:a\0", "cb:%0a", "cb:\x7f"):
            self.assert_bad(f"/{part}/plain/{SOURCE}", "control character in the option")

    def test_a_raw_source_may_have_any_format(self) -> None:
        request = parsed("/raw:1/plain/http://x/a.pdf@pdf")
        self.assertEqual((request.source, request.options.format), ("http://x/a.pdf", None))

    def test_the_file_name_after_base64_is_dropped_where_configured(self) -> None:
        path = f"/{encoded(SOURCE)}/puppy.jpg"
        self.assertEqual(parsed(path, base64_url_includes_filename=True).source, SOURCE)

    def test_messages_shorten_long_parts(self) -> None:
        self.assert_bad("/plain/http://x/%zz", "'http://x/%zz'")
        with self.assertRaises(BadPath) as caught:
            parsed("/plain/%zz" + "a" * 10000)
        self.assertLess(len(caught.exception.message), 200)

    def test_enc_alone_is_a_base64_source(self) -> None:
        self.assertEqual(parsed(build_path("zw", encoding="base64")).source, "zw")

    def test_an_encoded_colon_keeps_a_single_slash(self) -> None:
        self.assertEqual(parsed(build_path("a:/b:c")).source, "a:/b:c")

    def test_folded_slashes_are_repaired(self) -> None:
        self.assertEqual(parsed("/plain/https:/x/a.jpg").source, "https://x/a.jpg")
        self.assertEqual(parsed("/plain/local:/a/b.jpg").source, "local:///a/b.jpg")

    def test_a_too_long_path_is_rejected(self) -> None:
        self.assert_bad("/plain/http://x/" + "a" * 20000, "longer")

    def test_the_path_prefix_is_removed(self) -> None:
        parser = UrlParser(UrlSettings(allow_unsigned=True, path_prefix="/images"))
        self.assertEqual(parser.parse(f"/images/unsafe/plain/{SOURCE}".encode()).source, SOURCE)

    def test_the_path_prefix_ends_with_a_segment(self) -> None:
        parser = UrlParser(UrlSettings(keys=((b"k", b"s"),), path_prefix="/in"))
        info = "/info" + Signer(b"k", b"s").sign(f"/size:1/plain/{SOURCE}")
        for target in (info, f"/in{info}"):
            self.assertEqual(parser.parse_info(target.encode()).source, SOURCE)

    def test_info_signatures_cover_the_path_after_them(self) -> None:
        parser = UrlParser(UrlSettings(keys=((b"k", b"s"),)))
        target = "/info" + Signer(b"k", b"s").sign(f"/size:1/plain/{SOURCE}")
        self.assertEqual(parser.parse_info(target.encode()).source, SOURCE)
        with self.assertRaises(BadOption):
            parser.parse_info(("/info" + Signer(b"k", b"s").sign(f"/w:10/plain/{SOURCE}")).encode())


class EncryptionTests(SynchronousTestCase):
    key = bytes.fromhex("1eb5b0e971ad7f45324c1bb15c947cb207c43152fa5c6c7f35c4f36e0c18e0f1")

    def test_the_example_of_imgproxys_documentation(self) -> None:
        message = "p5VjorNdhs7mRRw8gA9TWoRlGci3l1kuzqN43UQlRaRIQ0qtBKW3qFABIsx-ZRz_cVc8iVTYbhsNsxNBL1BHaQ"
        source = parsed(f"/rs:fit:300:300/enc/{message[:20]}/{message[20:]}.png", encryption_key=self.key).source
        self.assertEqual(source, "http://example.com/images/curiosity.jpg")

    def test_decryption_reverses_encryption(self) -> None:
        for size in (16, 24, 32):
            cipher = SourceCipher(self.key[:size])
            path = build_path("http://x/ä.jpg?a=b", "w:3", "webp", cipher=cipher)
            request = parsed(path, encryption_key=self.key[:size])
            self.assertEqual((request.source, request.options.format), ("http://x/ä.jpg?a=b", "webp"))
            self.assertEqual(path, build_path("http://x/ä.jpg?a=b", "w:3", "webp", cipher=cipher))

    def test_wrong_keys_and_changed_messages_give_the_same_error(self) -> None:
        path = build_path("http://x/a.jpg", cipher=SourceCipher(bytes(32)))
        for wrong in (path, "/enc/AAAA", "/enc/", "/enc/" + "A" * 43):
            with self.assertRaises(BadPath):
                parsed(wrong, encryption_key=self.key)
        with self.assertRaisesRegex(BadPath, "ENCRYPTION_KEY"):
            parsed(path)


class RewritingTests(SynchronousTestCase):
    def test_the_base_url_is_prepended_once(self) -> None:
        base = "http://origin.example/img/"
        self.assertEqual(parsed("/plain/a.jpg", base_url=base).source, base + "a.jpg")
        self.assertEqual(parsed(f"/plain/{base}a.jpg", base_url=base).source, base + "a.jpg")

    def test_replacements_keep_wildcard_matches(self) -> None:
        rules = (("mys3://*/", "http://${1}.s3.example/"), ("old://", "new://"))
        self.assertEqual(
            parsed("/plain/mys3://bucket/a/b.jpg", url_replacements=rules).source, "http://bucket.s3.example/a/b.jpg"
        )
        self.assertEqual(parsed("/plain/old://a/old://", url_replacements=rules).source, "new://a/old://")


class OtherImagesTests(SynchronousTestCase):
    """The URLs of watermarks and fallback images are the URL's own, unless the operator has them rewritten too."""

    path = f"/wmu:{encoded('mark.png')}/fiu:{encoded('cdn://none.png')}/-/w:5/-/wmu:{encoded('b.png')}/plain/a.png"
    rules: ClassVar[dict[str, Any]] = {
        "base_url": "http://base.example/",
        "url_replacements": (("cdn://", "http://base.example/cdn/"),),
    }

    def test_other_images_are_not_rewritten_by_default(self) -> None:
        request = parsed(self.path, **self.rules)
        self.assertEqual(request.source, "http://base.example/a.png")
        self.assertEqual(request.options.watermark_url, "mark.png")
        self.assertEqual(request.delivery.fallback_image_url, "cdn://none.png")

    def test_watermarks_of_all_pipelines_are_rewritten_on_demand(self) -> None:
        request = parsed(self.path, watermark_preprocess_url=True, **self.rules)
        urls = [options.watermark_url for options in (request.options, *request.chained)]
        self.assertEqual(urls, ["http://base.example/mark.png", "", "http://base.example/b.png"])
        self.assertEqual(request.delivery.fallback_image_url, "cdn://none.png")

    def test_fallback_images_are_rewritten_on_demand(self) -> None:
        request = parsed(self.path, fallback_image_preprocess_url=True, **self.rules)
        self.assertEqual(request.options.watermark_url, "mark.png")
        self.assertEqual(request.delivery.fallback_image_url, "http://base.example/cdn/none.png")
        self.assertEqual(parsed("/plain/a.png", fallback_image_preprocess_url=True).delivery.fallback_image_url, "")


class PresetTests(SynchronousTestCase):
    presets = {"thumb": "rs:fill:10:20/q:50", "wide": "w:99/pr:thumb/pr:wide", "plain": "bl:1"}

    def test_later_options_win_over_presets(self) -> None:
        options = parsed(f"/pr:thumb/w:7/plain/{SOURCE}", presets=self.presets).options
        self.assertEqual((options.width, options.height, options.quality), (7, 20, 50))

    def test_presets_may_name_presets_but_not_themselves(self) -> None:
        request = parsed(f"/pr:wide/plain/{SOURCE}", presets=self.presets)
        self.assertEqual((request.options.width, request.presets), (10, ("wide",)))

    def test_the_default_preset_comes_first(self) -> None:
        presets = {"default": "w:5/h:6"}
        options = parsed(f"/h:7/plain/{SOURCE}", presets=presets).options
        self.assertEqual((options.width, options.height), (5, 7))

    def test_an_unknown_preset_is_named(self) -> None:
        with self.assertRaisesRegex(BadOption, "'nope'"):
            parsed(f"/pr:nope/plain/{SOURCE}", presets=self.presets)

    def test_a_malformed_preset_is_reported_at_the_start(self) -> None:
        with self.assertRaisesRegex(ValueError, "preset 'bad'.*'w:x'"):
            UrlParser(UrlSettings(presets={"bad": "w:x"}))

    def test_presets_only(self) -> None:
        def only(path: str) -> ImageRequest:
            return parsed(path, presets=self.presets, only_presets=True)

        self.assertEqual(only(f"/thumb/plain/{SOURCE}").options.width, 10)
        self.assertEqual(only(f"/thumb:plain/plain/{SOURCE}").presets, ("thumb", "plain"))
        self.assertEqual(only(f"/pr:thumb/plain/{SOURCE}").options.height, 20)
        self.assertEqual(only(f"/thumb/exp:99/cb:7/{encoded(SOURCE)}").delivery.expires, 99)
        self.assertEqual(only(f"/plain/{SOURCE}").presets, ())
        for bad in ("/w:1/", "/thumb/w:1/", "/thumb:nope/"):
            with self.assertRaises(BadOption):
                only(f"{bad}plain/{SOURCE}")


class PermissionTests(SynchronousTestCase):
    def test_bypass_cache_needs_permission(self) -> None:
        with self.assertRaises(OptionForbidden):
            parsed(f"/bc:1/plain/{SOURCE}")
        self.assertFalse(parsed(f"/bc:0/plain/{SOURCE}").delivery.bypass_cache)
        self.assertTrue(parsed(f"/bc:1/plain/{SOURCE}", allow_bypass_cache=True).delivery.bypass_cache)

    def test_security_options_need_permission(self) -> None:
        with self.assertRaises(OptionForbidden):
            parsed(f"/msr:100/plain/{SOURCE}")
        options = parsed(f"/msr:100/plain/{SOURCE}", allow_security_options=True).options
        self.assertEqual(options.max_src_resolution, 100)

    def test_presets_may_have_security_options(self) -> None:
        options = parsed(f"/pr:big/plain/{SOURCE}", presets={"big": "msr:100"}).options
        self.assertEqual(options.max_src_resolution, 100)

    def test_only_allowed_options_are_accepted_by_all_their_names(self) -> None:
        allowed = frozenset({"width", "q"})
        self.assertEqual(parsed(f"/w:3/quality:4/plain/{SOURCE}", allowed_processing_options=allowed).options.width, 3)
        with self.assertRaises(OptionForbidden):
            parsed(f"/h:3/plain/{SOURCE}", allowed_processing_options=allowed)


sources = st.one_of(
    st.builds("http://{}/{}".format, st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True), st.text(max_size=40)),
    st.text(min_size=1, max_size=60),
).filter(lambda text: all(char >= " " and char != "\x7f" and not "\ud800" <= char <= "\udfff" for char in text))
formats = st.sampled_from([None, "png", "webp", "avif", "gif", "tiff"])
options = st.sampled_from(
    ["", "w:10", "rs:fill:3:4:1/g:no:1:2", "q:50/pd:1:2/bl:0.5", "rot:90/fl:1:0", "c:10:20:fp:0.1:0.2"]
)


class PropertyTests(SynchronousTestCase):
    def assert_read_back(self, path: str, size: int, source: str, text: str, name: str | None) -> None:
        signer = Signer(b"key", b"salt", size)
        parser = UrlParser(UrlSettings(keys=((b"key", b"salt"),), signature_size=size))
        plainest = parser.parse(signer.sign(build_path("x", text)).encode())
        expected = replace(plainest, source=source, options=replace(plainest.options, format=name))
        self.assertEqual(parser.parse(signer.sign(path).encode()), expected)

    @given(sources, options, formats, st.sampled_from(["plain", "base64"]), st.integers(1, 32))
    def test_built_paths_are_parsed_back(
        self, source: str, text: str, name: str | None, encoding: str, size: int
    ) -> None:
        self.assert_read_back(build_path(source, text, name, encoding=encoding), size, source, text, name)

    @given(sources, options, formats, st.integers(6, 40))
    def test_base64_is_parsed_wherever_slashes_split_it(
        self, source: str, text: str, name: str | None, every: int
    ) -> None:
        head, _, last = build_path(source, text, name, encoding="base64").rpartition("/")
        pieces = [last[start : start + every] for start in range(0, len(last), every)]
        self.assert_read_back("/".join([head, *pieces]), 32, source, text, name)

    @given(st.binary(max_size=200))
    def test_only_imgforge_errors_are_raised_for_any_bytes(self, target: bytes) -> None:
        parser = UrlParser(UrlSettings(allow_unsigned=True))
        for parse in (parser.parse, parser.parse_info):
            try:
                parse(b"/unsafe/" + target)
            except ImgforgeError as error:
                self.assertEqual(error.message.count("\n"), 0)
                self.assertIn(error.status, range(400, 500))
