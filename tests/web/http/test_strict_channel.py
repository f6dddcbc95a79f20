"""What is no request, or one that a proxy may read otherwise, is refused; refusals are answers like any other."""

from __future__ import annotations

from imgforge.observability import Access
from tests.support.malformed_requests import REFUSED, START
from tests.support.site_case import SiteCase

TAKEN = {
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
NOT_FOR_US = {
    b"GET * HTTP/1.1": 400,
    b"OPTIONS * HTTP/1.1": 400,
    b"GET quick HTTP/1.1": 400,
    b"GET ftp://x/quick HTTP/1.1": 400,
    b"CONNECT x:443 HTTP/1.1": 400,
    b"OPTIONS /quick HTTP/1.1": 405,
}


class FramingTests(SiteCase):
    def status(self, data: bytes) -> int:
        _, transport = self.ask(data)
        return int(transport.value()[9:12] or 0)

    def logged(self) -> Access:
        (line,) = self.access.lines
        self.access.lines.clear()
        return line

    def test_what_is_ambiguous_is_refused_and_the_connection_closed(self) -> None:
        for name, (status, data) in REFUSED.items():
            _, transport = self.ask(data + START + b"\r\nHost: x\r\n\r\n")
            head, _, body = transport.value().partition(b"\r\n\r\n")
            self.assertEqual(int(head[9:12]), status, name)
            self.assertEqual(body.count(b"\n"), 1, name)  # one line, and no second answer
            self.assertIn(b"\r\nConnection: close", head, name)
            self.assertTrue(transport.disconnecting, name)

    def test_it_is_refused_however_it_arrives(self) -> None:
        for name, (status, data) in REFUSED.items():
            channel, transport = self.connect()
            for at in range(0, len(data), 1 + len(data) // 50):
                channel.dataReceived(data[at : at + 1 + len(data) // 50])
            self.assertEqual(int(transport.value()[9:12] or 0), status, name)
            self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1, name)

    def test_what_is_unusual_but_allowed_is_answered(self) -> None:
        for name, data in TAKEN.items():
            self.assertEqual(self.status(data), 200, name)

    def test_a_target_that_is_not_ascii_stays_as_it_was_sent(self) -> None:
        self.ask(b"GET /quick/\xc3\xa4\x85 HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        self.assertEqual([line.target for line in self.access.lines], ["/quick/ä\udc85"] * 2)

    def test_targets_that_are_no_path_are_refused(self) -> None:
        for line, status in NOT_FOR_US.items():
            self.assertEqual(self.status(line + b"\r\nHost: x\r\n\r\n"), status, line)

    def test_a_refusal_has_the_headers_of_every_answer(self) -> None:
        for _, data in [*REFUSED.values(), (0, b"GET * HTTP/1.1\r\nHost: x\r\n\r\n")]:
            _, transport = self.ask(data)
            head = transport.value().partition(b"\r\n\r\n")[0]
            for header in (b"X-Request-Id: ", b"X-Configured: yes", b"Content-Type: text/plain", b"Date: "):
                self.assertIn(b"\r\n" + header, head, data[:80])
            self.assertNotIn(b"TwistedWeb", head)

    def test_a_refusal_is_logged_and_counted(self) -> None:
        for status, data in REFUSED.values():
            self.ask(data)
            self.assertEqual(self.logged().status, status, data[:80])
        self.metrics.flush()
        for status in {status for status, _ in REFUSED.values()}:
            count = sum(1 for other, _ in REFUSED.values() if other == status)
            told = self.metrics.registry.get_sample_value("status_codes_total", {"status": str(status)})
            self.assertEqual(told, count, status)

    def test_the_log_names_what_was_understood(self) -> None:
        self.ask(START + b"\r\nX-Request-ID: mine\r\n\r\n")
        line = self.logged()
        self.assertEqual((line.method, line.target, line.request_id), ("GET", "/quick", "mine"))
        self.ask(b"\x16\x03\r\n\r\n")
        line = self.logged()
        self.assertEqual((line.method, line.target), ("-", "-"))

    def test_a_refusal_has_the_id_that_came_before_or_with_it(self) -> None:
        head = START + b"\r\nHost: x\r\nX-Request-ID: mine\r\n"
        for refused in (b"X: " + b"a" * 20000, b" folded", b"broken", b"Content-Length: x"):
            self.ask(head + refused + b"\r\n\r\n")
            self.assertEqual(self.logged().request_id, "mine", refused[:20])
        self.ask(START + b"\r\nbroken\r\nX-Request-ID: mine\r\n\r\n")
        self.assertEqual(self.logged().request_id, "mine")
        _, transport = self.ask(head + b"\r\n" + START + b"\r\n" + b"a" * 20000)
        self.assertEqual(transport.value().count(b"X-Request-Id: mine"), 1)

    def test_a_request_that_comes_too_slowly_is_told_and_logged(self) -> None:
        channel, transport = self.ask(START + b"\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
        self.clock.advance(6)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        self.assertEqual(self.logged().target, "/quick")
        channel.dataReceived(b"bc")
        self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)

    def test_a_refusal_follows_the_answers_before_it(self) -> None:
        _, transport = self.ask(START + b"\r\nHost: x\r\n\r\n" + START + b"\r\n\r\n")
        self.assertEqual([int(part[:3]) for part in transport.value().split(b"HTTP/1.1 ")[1:]], [200, 400])

    def test_close_among_other_words_is_obeyed(self) -> None:
        for connection in (
            b"Connection: close, TE",
            b"Connection: TE\r\nConnection: CLOSE",
            b"Connection: keep-alive,close",
        ):
            _, transport = self.ask(START + b"\r\nHost: x\r\n" + connection + b"\r\n\r\n")
            self.assertTrue(transport.disconnecting, connection)
            self.assertIn(b"Connection: close", transport.value())
