"""Signatures are valid for the signed bytes only."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadPath, BadSignature
from imgforge.urls import Signer, UrlParser, UrlSettings

PATH = "/w:10/plain/http://origin.example/a.jpg"
PAIRS = ((b"first key", b"first salt"), (b"second key", b"second salt"))


class SignerTests(SynchronousTestCase):
    def test_the_signature_is_the_documented_hmac(self) -> None:
        digest = hmac.new(b"key", b"salt" + PATH.encode(), hashlib.sha256).digest()
        expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.assertEqual(Signer(b"key", b"salt").sign(PATH), f"/{expected}{PATH}")

    def test_the_example_of_imgproxys_documentation(self) -> None:
        key = bytes.fromhex("736563726574")
        salt = bytes.fromhex("68656C6C6F")
        path = "/rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png"
        self.assertEqual(Signer(key, salt).sign(path), f"/oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8{path}")

    def test_a_shorter_signature_is_the_beginning_of_the_digest(self) -> None:
        digest = hmac.new(b"key", b"salt" + PATH.encode(), hashlib.sha256).digest()
        expected = base64.urlsafe_b64encode(digest[:8]).rstrip(b"=").decode()
        self.assertEqual(Signer(b"key", b"salt", 8).sign(PATH), f"/{expected}{PATH}")


class VerificationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parser = UrlParser(UrlSettings(keys=PAIRS))

    def assert_refused(self, target: str, parser: UrlParser | None = None) -> None:
        with self.assertRaises(BadSignature):
            (parser or self.parser).parse(target.encode())

    def test_any_of_the_pairs_may_have_signed(self) -> None:
        for key, salt in PAIRS:
            request = self.parser.parse(Signer(key, salt).sign(PATH).encode())
            self.assertEqual(request.options.width, 10)

    def test_pairs_cannot_be_mixed(self) -> None:
        self.assert_refused(Signer(PAIRS[0][0], PAIRS[1][1]).sign(PATH))

    def test_another_spelling_of_a_signed_path_is_another_path(self) -> None:
        signed = Signer(*PAIRS[0]).sign(PATH)
        for other in (signed.replace("w:10", "w%3A10"), signed.replace("/w:10", "//w:10"), signed + "@png"):
            self.assert_refused(other)

    def test_padded_signatures_are_rejected(self) -> None:
        signature, _, path = Signer(*PAIRS[0]).sign(PATH)[1:].partition("/")
        self.assert_refused(f"/{signature}=/{path}")

    def test_unsafe_needs_permission(self) -> None:
        self.assert_refused(f"/unsafe{PATH}")
        allowing = UrlParser(UrlSettings(keys=PAIRS, allow_unsigned=True))
        self.assertEqual(allowing.parse(f"/unsafe{PATH}".encode()).options.width, 10)
        self.assert_refused(f"/anything{PATH}", allowing)

    def test_unsafe_in_the_signatures_place_is_told_to_the_log_only(self) -> None:
        with self.assertRaises(BadSignature) as caught:
            self.parser.parse(f"/unsafe{PATH}".encode())
        self.assertEqual(caught.exception.message, "the signature does not match the path")
        self.assertIn("'unsafe' is in the signature's place", caught.exception.logged)
        with self.assertRaises(BadSignature) as caught:
            self.parser.parse(f"/anything{PATH}".encode())
        self.assertEqual(caught.exception.cause, "")

    def test_without_keys_signatures_are_valid_only_if_unsigned_urls_are_allowed(self) -> None:
        self.assert_refused(f"/unsafe{PATH}", UrlParser(UrlSettings()))
        for signature in ("unsafe", "_", "insecure"):
            UrlParser(UrlSettings(allow_unsigned=True)).parse(f"/{signature}{PATH}".encode())

    def test_a_missing_signature_is_reported(self) -> None:
        with self.assertRaisesRegex(BadPath, "signature is missing"):
            UrlParser(UrlSettings(allow_unsigned=True)).parse(PATH.encode())

    def test_a_trusted_signature_is_valid_for_any_path(self) -> None:
        trusting = UrlParser(UrlSettings(keys=PAIRS, trusted_signatures=("friend",)))
        self.assertEqual(trusting.parse(f"/friend{PATH}".encode()).options.width, 10)
        self.assert_refused(f"/foe{PATH}", trusting)

    def test_slashes_that_a_proxy_folded_are_unfolded_for_the_check(self) -> None:
        folded = Signer(*PAIRS[0]).sign(PATH).replace("http://", "http:/")
        self.assertEqual(self.parser.parse(folded.encode()).source, "http://origin.example/a.jpg")

    def test_the_query_string_is_ignored(self) -> None:
        signed = Signer(*PAIRS[0]).sign(PATH)
        self.assertEqual(self.parser.parse(f"{signed}?utm=1".encode()).source, "http://origin.example/a.jpg")

    @given(st.text(alphabet="ABCabc012-_=", max_size=50))
    def test_guessed_signatures_are_rejected(self, guess: str) -> None:
        good = Signer(*PAIRS[0]).sign(PATH)[1:].partition("/")[0]
        if guess and guess != good:
            self.assert_refused(f"/{guess}{PATH}")
