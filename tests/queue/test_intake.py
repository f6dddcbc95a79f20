"""What may be queued: paths that GET would answer with an image that is cached."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadOption, BadRequest, BadSignature, Expired, SourceRefused
from imgforge.queue import Intake, jobs_of
from imgforge.urls import Signer, UrlParser, UrlSettings

SIGNER = Signer(b"key", b"salt")


def intake(**settings: object) -> Intake:
    rules_of_urls = settings.pop("rules", {})
    rules = UrlSettings(
        keys=((b"key", b"salt"),),
        presets={"wide": "enlarge,1"}
        if rules_of_urls
        else {"thumb": "rs:fit:100:100", "card": "rs:fill:300:200/f:webp"},
        allow_bypass_cache=True,
        **rules_of_urls,  # type: ignore[arg-type]
    )
    return Intake(UrlParser(rules), SIGNER.sign, lambda: 1000.0, **settings)  # type: ignore[arg-type]


class CheckTests(SynchronousTestCase):
    def test_a_signed_path_is_good_as_a_path_and_as_a_url(self) -> None:
        path = SIGNER.sign("/w:100/plain/http://origin/ü.jpg")
        for written in (path, path.removeprefix("/"), f"https://images.example.com{path}"):
            intake().check(written)

    def test_what_get_refuses_is_refused(self) -> None:
        sign = SIGNER.sign
        for path, error in (
            ("/unsafe/w:100/plain/http://origin/a.jpg", BadSignature),
            (sign("/w:100/plain/http://origin/a.jpg") + "x", BadSignature),
            (sign("/wrong:100/plain/http://origin/a.jpg"), BadOption),
            (sign("/exp:999/plain/http://origin/a.jpg"), Expired),
            (sign("/raw:1/plain/http://origin/a.jpg"), BadRequest),
            (sign("/bc:1/plain/http://origin/a.jpg"), BadRequest),
        ):
            self.assertRaises(error, intake().check, path)
        intake().check(sign("/exp:1001/plain/http://origin/a.jpg"))

    def test_the_first_bad_path_is_named(self) -> None:
        good = SIGNER.sign("/w:100/plain/http://origin/a.jpg")
        error = self.assertRaises(BadRequest, intake().check_all, [good, good, "/x/w:1/plain/http://origin/a.jpg"])
        self.assertEqual(error.message, "path 3: the signature does not match the path")

    def test_sources_beyond_the_allowed_ones_are_refused(self) -> None:
        picky = intake(allows=lambda source: source.startswith("http://origin/"))
        picky.check(SIGNER.sign("/w:100/plain/http://origin/a.jpg"))
        self.assertRaises(SourceRefused, picky.check, SIGNER.sign("/w:100/plain/http://other/a.jpg"))

    def test_where_presets_alone_are_cached_others_are_refused(self) -> None:
        presets_only = intake(presets_only=True)
        presets_only.check(SIGNER.sign("/pr:thumb/plain/http://origin/a.jpg"))
        self.assertRaises(BadRequest, presets_only.check, SIGNER.sign("/w:100/plain/http://origin/a.jpg"))


class PresetTests(SynchronousTestCase):
    def test_every_preset_of_a_source_has_a_signed_path(self) -> None:
        paths = intake(presets=("thumb", "card")).paths_of("s3://photos/a b@2x?.jpg")
        self.assertEqual(
            [path.partition("/pr:")[2] for path in paths],
            ["thumb/plain/s3://photos/a%20b%402x%3F.jpg", "card/plain/s3://photos/a%20b%402x%3F.jpg"],
        )
        parsed = [intake().parser.parse(path.encode()) for path in paths]
        self.assertEqual({request.source for request in parsed}, {"s3://photos/a b@2x?.jpg"})
        self.assertEqual([request.presets for request in parsed], [("thumb",), ("card",)])

    def test_so_has_it_where_urls_name_presets_only(self) -> None:
        strict = intake(presets=("wide",), separator=",", rules={"only_presets": True, "arguments_separator": ","})
        (path,) = strict.paths_of("http://origin/a.jpg")
        self.assertEqual(strict.parser.parse(path.encode()).presets, ("wide",))

    def test_without_presets_a_source_cannot_be_queued(self) -> None:
        self.assertRaises(BadRequest, intake().paths_of, "http://origin/a.jpg")

    def test_jobs_of_one_call_are_of_one_request(self) -> None:
        first, second = jobs_of(["/a", "/b"], "image/webp")
        self.assertEqual((first.request, first.accept), (second.request, "image/webp"))
        self.assertTrue(first.request.endswith("-2"))
