"""The access log has one line for each response, in formats that other programs read."""

from __future__ import annotations

import io
import json
import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import Access, AccessLog, Stage, as_sent

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
        log = AccessLog(stream, format_name)
        log.write(access)
        log.close()
        return stream.getvalue()

    def test_combined(self) -> None:
        usual = '192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "GET /a/b HTTP/1.1" 200 123 "-" "curl"'
        self.assertTrue(usual.startswith(self.line("common").strip()))
        self.assertEqual(self.line("combined"), usual + ' 0.012300 "-" "id"\n')
        for cache, state in (
            ('imgforge; hit; detail="HIT memory stale"', "HIT memory stale"),
            ("imgforge; fwd=miss; detail=MISS", "MISS"),
        ):
            self.assertEqual(self.line("combined", ACCESS._replace(cache=cache)), f'{usual} 0.012300 "{state}" "id"\n')

    def test_json(self) -> None:
        line = json.loads(self.line("json"))
        self.assertEqual((line["status"], line["duration"], line["cache"]), (200, 0.0123, "hit"))
        self.assertEqual(line["time"], "2027-01-15T08:00:00.000Z")
        self.assertEqual((line["level"], line["fetch_ms"], line["fallback"]), ("info", None, None))
        failed = ACCESS._replace(
            level="warn",
            source="http://o/a.png",
            format="webp",
            error="the origin answered 503",
            fallback=502,
            bytes_in=9,
            timings=((Stage.FETCH, 0.0123), (Stage.WAIT, 0.0)),
        )
        line = json.loads(self.line("json", failed))
        self.assertEqual((line["level"], line["error"], line["fallback"]), ("warn", "the origin answered 503", 502))
        self.assertEqual((line["source"], line["format"], line["bytes_in"]), ("http://o/a.png", "webp", 9))
        self.assertEqual((line["fetch_ms"], line["wait_ms"], line["process_ms"]), (12.3, 0.0, None))
        line = json.loads(self.line("json", ACCESS._replace(at=ACCESS.at + 59.0625)))
        self.assertEqual(line["time"], "2027-01-15T08:00:59.062Z")

    def test_path_is_logged_as_it_was_sent(self) -> None:
        for sent, combined, in_json in (
            (b"/w%3A1/plain/http://x/a%2520b", "/w%3A1/plain/http://x/a%2520b", "/w%3A1/plain/http://x/a%2520b"),
            ("/plain/http://x/\u00fc\u6771".encode(), "/plain/http://x/\u00fc\u6771", "/plain/http://x/\u00fc\u6771"),
            (b"/plain/http://x/\xfc", r"/plain/http://x/\xfc", r"/plain/http://x/\xfc"),
            ("/\u200b".encode(), r"/\xe2\x80\x8b", "/\u200b"),
        ):
            access = ACCESS._replace(target=as_sent(sent))
            self.assertIn(f'"GET {combined} HTTP/1.1"', self.line("combined", access))
            self.assertEqual(json.loads(self.line("json", access))["path"], in_json)

    def test_client_is_one_field_whatever_it_contains(self) -> None:
        line = self.line("common", ACCESS._replace(client='a - [x] "GET\n'))
        self.assertEqual(line.split(" - - ")[0].count(" "), 0)
        self.assertEqual(len(line.splitlines()), 1)

    def test_full_disk_fails_no_response(self) -> None:
        stream = open("/dev/full", "w")  # noqa: SIM115  # every write fails
        log = AccessLog(stream, "common")
        for _ in range(1000):
            log.write(ACCESS)
        log.close()
        stream.close()

    def test_dropped_lines_are_counted_once(self) -> None:
        reader, writer = os.pipe()
        with os.fdopen(writer, "w") as stream:
            log = AccessLog(stream, "common")
            for _ in range(100):
                log.write(ACCESS._replace(target="x" * (1 << 20)))
            dropped = log.take_dropped()
            self.assertIn(dropped, range(60, 80))  # 32 MB wait
            self.assertEqual(log.take_dropped(), 0)
            log.write(ACCESS._replace(target="x" * (1 << 20)))
            self.assertEqual(log.take_dropped(), 1)
            os.close(reader)  # all that waits fails then
            log.close(patience=60)

    def test_off(self) -> None:
        self.assertEqual(self.line("off"), "")
        self.assertFalse(AccessLog(io.StringIO(), "off").enabled)

    @given(st.text(), st.sampled_from(["common", "combined", "json"]))
    def test_no_client_can_forge_a_line(self, hostile: str, format_name: str) -> None:
        line = self.line(format_name, ACCESS._replace(target=hostile, agent=hostile, referrer=hostile))
        self.assertEqual(len(line.splitlines()), 1)
        self.assertTrue(line.isascii() or format_name != "json")
