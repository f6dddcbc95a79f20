"""Error codes: read from XML and JSON, bounded, and harmless in a log."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.http import OriginRequest, Refusal
from imgforge.sources.stores.error_codes import error_code


class ErrorCodeTests(SynchronousTestCase):
    def test_codes(self) -> None:
        for body, code in (
            (b"", ""),
            (b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>BlobNotFound</Code><Message>x</Message>', "BlobNotFound"),
            (b"<Code>a\r\nX: \x1b[31m\xff</Code>", "aX31m"),
            (b"<Code>" + b"a" * 10000, "a" * 64),
            (b'{"error": {"errors": [{"reason": "notFound"}], "code": 404}}', "notFound"),
            (b'{"error": {"errors": [{"reason": 1}, {"reason": "for\\nbidden"}]}}', "forbidden"),
            (b'{"error": "x"}', ""),
            (b'{"error": {"errors": {}}}', ""),
            (b"{", ""),
            (b'{"error":' * 7000, ""),
            (b'{"a":' * 7000 + b"1" + b"}" * 7000, ""),
            (b'{"error": {"errors": [{"reason": "\xff"}]}}', ""),
            (b"[" * 30000, ""),
        ):
            refusal = Refusal(OriginRequest("http://x", {}), 403, {}, body)
            self.assertEqual(error_code(refusal), code, body[:80])
