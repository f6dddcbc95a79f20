"""What is read out of S3's refusals: hostile ones and those of other servers included."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.http import OriginRequest, Refusal
from imgforge.sources.stores.s3_refusals import S3Error, s3_error


def refusal(body: bytes | str, status: int = 403, **headers: str) -> Refusal:
    content = body.encode() if isinstance(body, str) else body
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refusal(OriginRequest("http://store/bucket/key", {}), status, names, content)


def xml(code: str, rest: str = "") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>{rest}<HostId>secret</HostId></Error>'


class ErrorTests(SynchronousTestCase):
    def test_code_message_and_region(self) -> None:
        for given_, error in (
            (refusal(xml("NoSuchKey", "<Message>gone</Message>")), S3Error("NoSuchKey", "", "gone")),
            (refusal(xml("A", "<Region>eu-west-3</Region>")), S3Error("A", "eu-west-3", "")),
            (refusal(xml("PermanentRedirect"), 301, x_amz_bucket_region="eu-west-3"),
             S3Error("PermanentRedirect", "eu-west-3", "")),
            (refusal("", 403), S3Error("", "", "")),
            (refusal("<html>502 Bad Gateway</html>"), S3Error("", "", "")),
            (refusal(xml("X" * 65, "<Region>a/b</Region>")), S3Error("", "", "")),
        ):  # fmt: skip
            self.assertEqual(s3_error(given_), error)
        opt_in = (
            "<Message>The me-south-1 location constraint is incompatible for the region specific endpoint</Message>"
        )
        self.assertEqual(s3_error(refusal(xml("IllegalLocationConstraintException", opt_in))).region, "me-south-1")

    def test_no_entity_is_expanded(self) -> None:
        bomb = (
            '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Error><Code>&b;</Code><Message>&b;</Message></Error>'
        )
        self.assertEqual(s3_error(refusal(bomb)), S3Error("", "", "&b;"))

    def test_a_line_says_what_the_operator_can_do(self) -> None:
        for code, status, part in (
            ("AccessDenied", 403, "AccessDenied: the credentials need s3:GetObject on this key"),
            ("SignatureDoesNotMatch", 403, "the secret key is wrong"),
            ("NoSuchBucket", 404, "there is no such bucket"),
            ("PermanentRedirect", 301, "IMGFORGE_S3_REGION"),
            ("Strange", 400, "Strange: the store gives no reason"),
        ):
            self.assertIn(part, s3_error(refusal(xml(code))).explain(status))
        self.assertEqual(s3_error(refusal(xml("Strange", "<Message>is so</Message>"))).explain(400), "Strange: is so")

    def test_a_missing_key_needs_no_line(self) -> None:
        self.assertEqual(s3_error(refusal(xml("NoSuchKey"))).explain(404), "")
        self.assertEqual(s3_error(refusal("")).explain(404), "")

    def test_a_refusal_without_a_body_is_told_by_its_status(self) -> None:
        self.assertIn("s3:GetObject", s3_error(refusal("")).explain(403))
        self.assertIn("IMGFORGE_S3_REGION", s3_error(refusal("")).explain(301))
        self.assertEqual(s3_error(refusal("")).explain(500), "")

    @given(st.binary(max_size=2000), st.sampled_from([b"<Code>", b"<Message>", b"<Region>", b""]))
    def test_any_body_gives_one_line_of_text(self, body: bytes, tag: bytes) -> None:
        line = s3_error(refusal(tag + body)).explain(403)
        self.assertTrue(line.isascii() and (line.isprintable() or not line), line)

    def test_a_body_of_64_kib_costs_little(self) -> None:
        for tag in (b"<Code>", b"<Message>", b"<Region>", b"<Code>a", b"<Message>The a"):
            s3_error(refusal(tag * (65536 // len(tag))))  # a quadratic search would take minutes
