"""Content negotiation: the format that a client gets if the URL leaves it open."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import ImageRequest, ProcessingOptions
from imgforge.web import Negotiation
from imgforge.web.http import accepted_types

OPEN = ImageRequest("http://x/a.jpg")
AS_PNG = ImageRequest("http://x/a.jpg", ProcessingOptions(format="png"))
AS_PNG_LATER = ImageRequest("http://x/a.jpg", chained=(ProcessingOptions(format="png"),))
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


class AcceptTests(SynchronousTestCase):
    def test_wildcards_are_ignored(self) -> None:
        self.assertEqual(list(accepted_types("image/*, */*;q=0.8")), [])

    def test_quality_of_zero_excludes_a_type(self) -> None:
        self.assertEqual(list(accepted_types("image/webp;q=0, image/avif;q=0.1")), ["image/avif"])

    def test_case_and_white_space_are_ignored(self) -> None:
        self.assertEqual(list(accepted_types(" Image/WebP ; q=0.5 ,, ")), ["image/webp"])


class NegotiationTests(SynchronousTestCase):
    def test_nothing_is_negotiated_by_default(self) -> None:
        self.assertEqual(Negotiation().accepted(OPEN, CHROME), ())
        self.assertFalse(Negotiation().varies(OPEN))

    def test_the_best_format_comes_first(self) -> None:
        both = Negotiation(auto=frozenset({"webp", "avif"}))
        self.assertEqual(both.accepted(OPEN, CHROME), ("avif", "webp"))
        self.assertEqual(both.accepted(OPEN, "image/webp"), ("webp",))

    def test_auto_format_does_not_replace_the_urls(self) -> None:
        auto = Negotiation(auto=frozenset({"webp"}))
        for request in (AS_PNG, AS_PNG_LATER):
            self.assertEqual(auto.accepted(request, CHROME), ())
            self.assertFalse(auto.varies(request))

    def test_enforced_format_replaces_the_urls_if_the_client_accepts_it(self) -> None:
        enforced = Negotiation(enforced=frozenset({"webp"}), auto=frozenset({"avif"}))
        for request in (AS_PNG, AS_PNG_LATER):
            self.assertEqual(enforced.accepted(request, CHROME), ("webp",))
            self.assertEqual(enforced.accepted(request, "image/png"), ())
            self.assertTrue(enforced.varies(request))
        self.assertEqual(enforced.accepted(OPEN, CHROME), ("avif", "webp"))
