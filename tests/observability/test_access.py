"""The access log is one line an answer, in formats that other programs read."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import Access, AccessLog

ACCESS = Access(
    at=1_800_000_000.0,
    client="192.0.2.1",
    method="GET",
    target="/a/b",
    protocol="HTTP/1.1",
    status=200,
    size=123,
    seconds=0.0123,
    request_id="id",
    cache="hit",
    referrer="",
    agent="curl",
)


class AccessLogTests(SynchronousTestCase):
    def line(self, format_name: str, access: Access = ACCESS) -> str:
        stream = io.StringIO()
        AccessLog(stream, format_name).write(access)
        return stream.getvalue()

    def test_combined(self) -> None:
        expected = '192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "GET /a/b HTTP/1.1" 200 123 "-" "curl"\n'
        self.assertEqual(self.line("combined"), expected)
        self.assertTrue(expected.startswith(self.line("common").strip()))

    def test_json(self) -> None:
        line = json.loads(self.line("json"))
        self.assertEqual((line["status"], line["duration"], line["cache"]), (200, 0.0123, "hit"))

    def test_off(self) -> None:
        self.assertEqual(self.line("off"), "")
        self.assertFalse(AccessLog(io.StringIO(), "off").enabled)

    @given(st.text(), st.sampled_from(["common", "combined", "json"]))
    def test_no_client_can_forge_a_line(self, hostile: str, format_name: str) -> None:
        line = self.line(format_name, replace(ACCESS, target=hostile, agent=hostile, referrer=hostile))
        self.assertEqual(len(line.splitlines()), 1)
        self.assertTrue(line.isascii() or format_name != "json")
