"""Which requests share an entry."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import URL_BYTES, entry_key, fingerprint, info_key, original_key
from imgforge.model import DeliveryOptions, ImageRequest, InfoOptions, InfoRequest, ProcessingOptions, Size
from imgforge.urls import UrlParser, UrlSettings

REQUEST = ImageRequest("http://x/a.jpg", ProcessingOptions(width=3))


def key(request: ImageRequest = REQUEST, accepted: tuple[str, ...] = (), settings: bytes = b"s") -> bytes:
    return entry_key(request, accepted, settings)


class KeyTests(SynchronousTestCase):
    def test_equal_urls_written_differently_share_one(self) -> None:
        parser = UrlParser(UrlSettings(allow_unsigned=True))
        spellings = (b"/_/rs:fill:3:4/plain/http://x/a.jpg@png", b"/other/h:9/rt:fill/s:3:4/f:png/aHR0cDovL3gvYS5qcGc")
        self.assertEqual(len({key(parser.parse(target)) for target in spellings}), 1)

    def test_everything_that_changes_pixels_changes_it(self) -> None:
        values = {key()}
        defaults = ProcessingOptions()
        for field in fields(ProcessingOptions):
            current = getattr(defaults, field.name)
            other: Any = {bool: True, int: 7, float: 7.5, str: "other", tuple: ("x",)}.get(type(current), Size(1, 2))
            values.add(key(replace(REQUEST, options=replace(REQUEST.options, **{field.name: other}))))
        self.assertEqual(len(values), len(fields(ProcessingOptions)) + 1)

    def test_source_formats_settings_and_cachebuster_count(self) -> None:
        busted = replace(REQUEST, delivery=DeliveryOptions(cachebuster="1"))
        keys = [key(), key(replace(REQUEST, source="y")), key(accepted=("webp",)), key(settings=b"t"), key(busted)]
        self.assertEqual(len(set(keys)), 5)

    def test_tags_count_but_neither_their_order_nor_how_often_they_are_named(self) -> None:
        def tagged(*tags: str) -> bytes:
            return key(replace(REQUEST, delivery=DeliveryOptions(cache_tags=tags)))

        self.assertEqual(tagged("a", "b"), tagged("b", "a", "b"))
        self.assertEqual(len({key(), tagged("a"), tagged("a", "b")}), 3)

    def test_variants_of_a_url_begin_alike_and_nothing_else_does(self) -> None:
        clients: tuple[tuple[str | None, ...], ...] = ((), ("x",), (None,), ("x", None))
        variants = {key(accepted=("webp",)), *(entry_key(REQUEST, (), b"s", client) for client in clients)}
        self.assertEqual((len(variants), len({one[:URL_BYTES] for one in variants})), (5, 1))
        self.assertNotEqual(key()[:URL_BYTES], key(replace(REQUEST, source="y"))[:URL_BYTES])

    def test_facts_about_an_original_have_keys_of_their_own(self) -> None:
        wanted = InfoRequest(REQUEST.source, delivery=REQUEST.delivery)
        keys = {
            info_key(wanted, b"s"),
            info_key(replace(wanted, options=InfoOptions(average=True)), b"s"),
            info_key(replace(wanted, delivery=DeliveryOptions(cachebuster="1")), b"s"),
            info_key(replace(wanted, delivery=DeliveryOptions(cache_tags=("a",))), b"s"),
            info_key(wanted, b"t"),
        }
        self.assertEqual(len({one[:URL_BYTES] for one in keys | {key(), original_key(REQUEST.source)}}), 7)
        variants = {info_key(wanted, b"s", ("x",)), info_key(replace(wanted, passed=(("a", "b"),)), b"s")}
        self.assertEqual(len(variants - keys), 2)
        self.assertEqual({one[:URL_BYTES] for one in variants}, {info_key(wanted, b"s")[:URL_BYTES]})

    def test_what_only_changes_the_answer_does_not(self) -> None:
        delivery = DeliveryOptions(filename="a", return_attachment=True, expires=9)
        self.assertEqual(key(replace(REQUEST, delivery=delivery)), key())

    def test_a_fingerprint_tells_settings_apart(self) -> None:
        self.assertNotEqual(fingerprint("1", {"q": 80}), fingerprint("1", {"q": 81}))
        self.assertEqual(fingerprint("1", {"q": 80}), fingerprint("1", {"q": 80}))
