"""Malformed and ambiguous requests (request smuggling) are rejected, with a response like any other."""

from __future__ import annotations

from imgforge.observability import Access
from tests.support.malformed_requests import MALFORMED, START
from tests.support.site_case import SiteCase

VALID = {
    "an empty host": START + b"\r\nHost:\r\n\r\n",
    "an address": START + b"\r\nHost: [::1]:3000\r\n\r\n",
    "a port": START + b"\r\nHost: x.example:80\r\n\r\n",
    "HTTP/1.0 without a host": b"GET /quick HTTP/1.0\r\n\r\n",
    "an empty line before": b"\r\n" + START + b"\r\nHost: x\r\n\r\n",
    "lists over several lines": START
    + b'\r\nHost: x\r\nAccept: a/b\r\nAccept: c/d\r\nIf-None-Match: "a"\r\nIf-None-Match: "b"\r\n'
    + b"Cookie: a=b\r\nCookie: c=d\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\n\r\n",
    "a target of raw UTF-8": b"GET /quick/\xe2\x82\xac\xc3\xa4\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a body": START + b"\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "a chunked body": START + b"\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "space around a value": START + b"\r\nHost: \t x \t\r\n\r\n",
}
NOT_A_PATH = {
    b"GET * HTTP/1.1": 400,
    b"OPTIONS * HTTP/1.1": 400,
    b"GET quick HTTP/1.1": 400,
    b"GET ftp://x/quick HTTP/1.1": 400,
    b"CONNECT x:443 HTTP/1.1": 400,
    b"OPTIONS /quick HTTP/1.1": 405,
}
FORMS = {
    b"application/x-www-form-urlencoded": b"a=b",
    b"multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--',
    b"multipart/form-data": b"--x",
    b"x; a*": b"{}",  # Twisted's parser of a Content-Type fails on these two
    b"(" * 8000: b"{}",
}


class StrictChannelTests(SiteCase):
    def status(self, data: bytes) -> int:
        _, transport = self.ask(data)
        return int(transport.value()[9:12] or 0)

    def logged(self) -> Access:
        (line,) = self.access.lines
        self.access.lines.clear()
        return line

    def test_malformed_request_gets_one_error_and_the_connection_is_closed(self) -> None:
        for name, (status, data) in MALFORMED.items():
            _, transport = self.ask(data + START + b"\r\nHost: x\r\n\r\n")
            head, _, body = transport.value().partition(b"\r\n\r\n")
            self.assertEqual(int(head[9:12]), status, name)
            self.assertEqual(body.count(b"\n"), 1, name)  # one line, and no second answer
            self.assertIn(b"\r\nConnection: close", head, name)
            self.assertTrue(transport.disconnecting, name)

    def test_malformed_request_is_rejected_in_any_split(self) -> None:
        for name, (status, data) in MALFORMED.items():
            channel, transport = self.connect()
            for at in range(0, len(data), 1 + len(data) // 50):
                channel.dataReceived(data[at : at + 1 + len(data) // 50])
            self.assertEqual(int(transport.value()[9:12] or 0), status, name)
            self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1, name)

    def test_unusual_but_valid_request_is_answered(self) -> None:
        for name, data in VALID.items():
            self.assertEqual(self.status(data), 200, name)

    def test_forms_are_bodies_like_others(self) -> None:
        for kind, body in FORMS.items():
            head = b"POST /posted?q=1 HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
            _, transport = self.ask(head % (kind, len(body)) + body)
            self.assertEqual(transport.value().partition(b"\r\n\r\n")[2], body, kind)
            self.assertEqual(self.logged().status, 200, kind)
            self.assertEqual(self.posted.pop(), (b"/posted", {}), kind)

    def test_head_and_body_are_sent_by_one_call(self) -> None:
        for method, parts in ((b"GET", 2), (b"HEAD", 1)):
            channel, transport = self.connect()
            sent: list[list[bytes]] = []
            self.patch(transport, "writeSequence", lambda iovec, sent=sent: sent.append(list(iovec)))
            channel.dataReceived(method + b" /quick HTTP/1.1\r\nHost: x\r\n\r\n")
            (call,) = sent
            self.assertEqual(len(call), parts)
            self.assertTrue(call[0].startswith(b"HTTP/1.1 200 OK\r\n") and call[0].endswith(b"\r\n\r\n"))

    def test_target_that_is_not_ascii_is_kept_unchanged(self) -> None:
        self.ask(b"GET /quick/\xc3\xa4\x85 HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        self.assertEqual([line.target for line in self.access.lines], ["/quick/ä\udc85"] * 2)

    def test_target_that_is_not_a_path_is_rejected(self) -> None:
        for line, status in NOT_A_PATH.items():
            self.assertEqual(self.status(line + b"\r\nHost: x\r\n\r\n"), status, line)

    def test_error_has_the_headers_of_every_response(self) -> None:
        for _, data in [*MALFORMED.values(), (0, b"GET * HTTP/1.1\r\nHost: x\r\n\r\n")]:
            _, transport = self.ask(data)
            head = transport.value().partition(b"\r\n\r\n")[0]
            for header in (b"X-Request-Id: ", b"X-Configured: yes", b"Content-Type: text/plain", b"Date: "):
                self.assertIn(b"\r\n" + header, head, data[:80])
            self.assertNotIn(b"TwistedWeb", head)

    def test_error_is_logged_and_counted(self) -> None:
        for status, data in MALFORMED.values():
            self.ask(data)
            self.assertEqual(self.logged().status, status, data[:80])
        self.metrics.flush()
        for status in {status for status, _ in MALFORMED.values()}:
            count = sum(1 for other, _ in MALFORMED.values() if other == status)
            count_in_metrics = self.metrics.registry.get_sample_value("status_codes_total", {"status": str(status)})
            self.assertEqual(count_in_metrics, count, status)

    def test_log_line_has_the_fields_that_were_parsed(self) -> None:
        self.ask(START + b"\r\nX-Request-ID: mine\r\n\r\n")
        line = self.logged()
        self.assertEqual((line.method, line.target, line.request_id), ("GET", "/quick", "mine"))
        self.ask(b"\x16\x03\r\n\r\n")
        line = self.logged()
        self.assertEqual((line.method, line.target), ("-", "-"))

    def test_error_has_the_request_id_if_it_was_received(self) -> None:
        head = START + b"\r\nHost: x\r\nX-Request-ID: mine\r\n"
        for malformed in (b"X: " + b"a" * 20000, b" folded", b"broken", b"Content-Length: x"):
            self.ask(head + malformed + b"\r\n\r\n")
            self.assertEqual(self.logged().request_id, "mine", malformed[:20])
        self.ask(START + b"\r\nbroken\r\nX-Request-ID: mine\r\n\r\n")
        self.assertEqual(self.logged().request_id, "mine")
        _, transport = self.ask(head + b"\r\n" + START + b"\r\n" + b"a" * 20000)
        self.assertEqual(transport.value().count(b"X-Request-Id: mine"), 1)

    def test_slow_request_gets_408_and_a_log_line(self) -> None:
        channel, transport = self.ask(START + b"\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
        self.clock.advance(6)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        self.assertEqual(self.logged().target, "/quick")
        channel.dataReceived(b"bc")
        self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)

    def test_error_follows_the_responses_before_it(self) -> None:
        _, transport = self.ask(START + b"\r\nHost: x\r\n\r\n" + START + b"\r\n\r\n")
        self.assertEqual([int(part[:3]) for part in transport.value().split(b"HTTP/1.1 ")[1:]], [200, 400])

    def test_close_among_other_options_closes_the_connection(self) -> None:
        for connection in (
            b"Connection: close, TE",
            b"Connection: TE\r\nConnection: CLOSE",
            b"Connection: keep-alive,close",
        ):
            _, transport = self.ask(START + b"\r\nHost: x\r\n" + connection + b"\r\n\r\n")
            self.assertTrue(transport.disconnecting, connection)
            self.assertIn(b"Connection: close", transport.value())
