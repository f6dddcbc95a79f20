"""Which format a client gets where the URL leaves it open."""

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
    def test_wildcards_promise_nothing(self) -> None:
        self.assertEqual(list(accepted_types("image/*, */*;q=0.8")), [])

    def test_a_quality_of_zero_is_a_refusal(self) -> None:
        self.assertEqual(list(accepted_types("image/webp;q=0, image/avif;q=0.1")), ["image/avif"])

    def test_case_and_space_do_not_matter(self) -> None:
        self.assertEqual(list(accepted_types(" Image/WebP ; q=0.5 ,, ")), ["image/webp"])


class NegotiationTests(SynchronousTestCase):
    def test_nothing_is_negotiated_unless_the_operator_says_so(self) -> None:
        self.assertEqual(Negotiation().accepted(OPEN, CHROME), ())
        self.assertFalse(Negotiation().varies(OPEN))

    def test_the_best_format_comes_first(self) -> None:
        both = Negotiation(auto=frozenset({"webp", "avif"}))
        self.assertEqual(both.accepted(OPEN, CHROME), ("avif", "webp"))
        self.assertEqual(both.accepted(OPEN, "image/webp"), ("webp",))

    def test_a_format_in_the_url_stands(self) -> None:
        auto = Negotiation(auto=frozenset({"webp"}))
        for request in (AS_PNG, AS_PNG_LATER):
            self.assertEqual(auto.accepted(request, CHROME), ())
            self.assertFalse(auto.varies(request))

    def test_an_enforced_format_may_replace_the_urls_where_the_client_takes_it(self) -> None:
        enforced = Negotiation(enforced=frozenset({"webp"}), auto=frozenset({"avif"}))
        for request in (AS_PNG, AS_PNG_LATER):
            self.assertEqual(enforced.accepted(request, CHROME), ("webp",))
            self.assertEqual(enforced.accepted(request, "image/png"), ())
            self.assertTrue(enforced.varies(request))
        self.assertEqual(enforced.accepted(OPEN, CHROME), ("avif", "webp"))
