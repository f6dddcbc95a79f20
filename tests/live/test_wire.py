"""Requests and responses on the wire: malformed requests, limits for clients, the access log, ranges, streams."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from threading import Thread
from urllib.parse import quote

from tests.support.live_server import LiveServer
from tests.support.loopback_server import DEADLINE
from tests.support.malformed_requests import MALFORMED
from tests.support.pictures import encode, gradient
from tests.support.process import Reply, Twistd, wait_for


class WireCase(LiveServer):
    def exchange(self, data: bytes) -> bytes:
        """The bytes that the server sends for *data* until it closes."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=DEADLINE) as connection:
            connection.sendall(data)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer


class MalformedRequestTests(WireCase):
    settings = {"ACCESS_LOG": "common", "SERVER_NAME": "pictures"}

    def test_malformed_request_gets_one_error_with_our_headers(self) -> None:
        for name, (status, data) in MALFORMED.items():
            answer = self.exchange(data)
            head = answer.partition(b"\r\n\r\n")[0]
            self.assertEqual(int(head[9:12]), status, name)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, name)
            self.assertIn(b"\r\nServer: pictures", head, name)
            self.assertIn(b"\r\nX-Request-Id: ", head, name)
        metrics = self.server.get("/metrics").body
        self.assertIn(b'status_codes_total{status="431"}', metrics)

    def test_no_response_names_twisted(self) -> None:
        for target in (b"*", b"/", b"/status", b"/nothing"):
            answer = self.exchange(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
            self.assertNotIn(b"Twisted", answer)


class RateTests(WireCase):
    settings = {"RATE_LIMIT_PER_MINUTE": "3", "CACHE_TYPE": "memory", "SECRET": "s"}
    token = "Bearer s"

    def setUp(self) -> None:
        self.origin.files["/other.jpg"] = encode(gradient(30, 20), "JPEG")

    def test_only_admitted_requests_that_cause_work_are_counted(self) -> None:
        for _ in range(5):
            self.assertEqual(self.image("w:9", Authorization="Bearer x").status, 403)
            self.assertEqual(self.image("exp:1", Authorization=self.token).status, 404)
            self.assertEqual(self.image("nonsense:1", Authorization=self.token).status, 400)
        self.assertEqual(self.image("w:9", Authorization=self.token).status, 200)
        for _ in range(10):
            self.assertEqual(self.image("w:9", Authorization=self.token).status, 200)
            slow = self.image("w:9", Authorization=self.token, X_Not_Plain="1")
            self.assertIn("HIT memory", slow.headers["cache-status"])
        url = quote(self.origin.url("/other.jpg"), safe="")
        info = self.server.get(f"/info/unsafe/plain/{url}", {"Authorization": self.token})
        self.assertEqual(info.status, 200)
        self.assertEqual(self.image("raw:1", "/other.jpg", Authorization=self.token).status, 200)
        before = len(self.origin.requests)
        for options in ("w:8", "raw:1", "w:7"):
            refused = self.image(options, "/other.jpg", Authorization=self.token)
            self.assertEqual((refused.status, int(refused.headers["retry-after"]) > 0), (429, True))
        self.assertEqual(len(self.origin.requests), before)


class ClientTests(WireCase):
    settings = {
        "ALLOW_UNSIGNED": "true",
        "CACHE_TYPE": "memory",
        "ACCESS_LOG": "json",
        "ALLOWED_CLIENTS": "192.0.2.0/24,2001:db8::/32",
        "TRUSTED_PROXIES": "127.0.0.0/8",
        "RATE_LIMIT_PER_CLIENT_PER_MINUTE": "2",
    }

    def test_only_allowed_clients_are_answered_cached_or_not(self) -> None:
        for _ in range(3):  # a miss, a hit, a hit of the fast lane
            self.assertEqual(self.image("w:5", X_Forwarded_For="10.1.1.1, 192.0.2.1").status, 200)
            refused = self.image("w:5", X_Forwarded_For="192.0.2.1, 10.1.1.1")
            self.assertEqual((refused.status, refused.body), (403, b"this server does not serve your address\n"))
            self.assertEqual(self.image("w:5").status, 403)
        self.assertEqual((self.server.get("/status").status, self.server.get("/metrics").status), (200, 403))
        allowed = {"X-Forwarded-For": "192.0.2.1"}
        self.assertIn(b'refusals_total{reason="client"} 7.0', self.server.get("/metrics", allowed).body)

    def test_each_client_has_its_own_rate_limit_and_is_logged(self) -> None:
        for client, width, status in (
            ("192.0.2.9", 21, 200),
            ("192.0.2.9", 22, 200),
            ("192.0.2.9", 23, 429),
            ("192.0.2.9", 21, 200),  # a hit
            ("2001:db8:0:7::1", 23, 200),
            ("2001:db8:0:7::2", 24, 200),
            ("[2001:db8:0:7::3]:80", 25, 429),
            ("2001:db8:0:8::1", 25, 200),
        ):
            self.assertEqual(self.image(f"w:{width}", X_Forwarded_For=client).status, status, (client, width))
        wait_for(lambda: '"client": "2001:db8:0:7::3"' in self.server.output(), "the line")


class AccessLogTests(WireCase):
    settings = {"CACHE_TYPE": "memory", "ACCESS_LOG": "json"}

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.server.output().splitlines() if '"bytes": ' in line]

    def test_hits_of_the_fast_lane_are_logged(self) -> None:
        for number in range(5):
            self.image("w:33", extension="@png", X_Request_ID=f"hit-{number}", User_Agent="tester")
        wait_for(lambda: "hit-4" in self.server.output(), "the line")
        lines = {line["request_id"]: line for line in self.lines()}
        for number in range(1, 5):
            hit, miss = lines[f"hit-{number}"], lines["hit-0"]
            for name in ("client", "method", "path", "status", "bytes", "agent"):
                self.assertEqual(hit[name], miss[name], name)
            self.assertIn("HIT memory", str(hit["cache"]))
        self.assertIn("MISS", str(lines["hit-0"]["cache"]))

    def test_stop_loses_no_lines(self) -> None:
        server = Twistd(self.server.settings).start()
        self.addCleanup(server.clean)
        url = quote(self.origin.url("/photo.jpg"), safe="")
        for number in range(20):
            server.get(f"/unsafe/w:33/plain/{url}@png", {"X-Request-ID": f"last-{number}"})
        server.stop()
        for number in range(20):
            server.assert_logged(f'"last-{number}"')


class BlockedLogTests(WireCase):
    def test_blocked_log_blocks_no_response(self) -> None:
        server = Twistd({"PROCESSES": "1", "ACCESS_LOG": "combined"})
        self.addCleanup(server.clean)
        pipe = Path(server.scratch.name, "pipe")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        server.options = ("--logfile", str(pipe))
        server.start()
        requests = b"".join(b"GET /status?%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(2000))
        last = b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as connection:
            Thread(target=connection.sendall, args=(requests + last,), daemon=True).start()
            answers = b"".join(iter(lambda: connection.recv(65536), b""))
        self.assertEqual(answers.count(b"HTTP/1.1 200 "), 2001)
        # More than a pipe holds; once it is read all lines arrive, whole and in order.
        log = b""
        os.set_blocking(reader, True)
        while b"/status?1999 " not in log:
            log += os.read(reader, 65536)
        numbers = [int(part.partition(b" ")[0]) for part in log.split(b'"GET /status?')[1:]]
        self.assertEqual(numbers, list(range(2000)))
        Thread(target=lambda: list(iter(lambda: os.read(reader, 65536), b"")), daemon=True).start()
        self.assertEqual(server.stop(), 0)


class RangeTests(WireCase):
    settings = {"CACHE_TYPE": "memory"}

    def test_ranges_of_a_result_are_slices_of_it(self) -> None:
        whole = self.image("w:70", extension="@png")
        for _ in range(2):  # a miss, a hit
            part = self.image("w:70", extension="@png", Range="bytes=10-19", If_Range=whole.headers["etag"])
            self.assertEqual((part.status, part.body), (206, whole.body[10:20]))
            self.assertEqual(part.headers["content-range"], f"bytes 10-19/{len(whole.body)}")
            self.assertEqual((part.headers["etag"], part.headers["content-length"]), (whole.headers["etag"], "10"))
            failed = self.image("w:70", extension="@png", Range="bytes=10-19", If_Match='"another"')
            self.assertEqual((failed.status, failed.body.count(b"\n")), (412, 1))
        self.assertEqual(self.image("w:70", extension="@png").body, whole.body)
        self.assertEqual(whole.headers["accept-ranges"], "bytes")
        refused = self.image("w:70", extension="@png", Range="bytes=999999999-")
        self.assertEqual((refused.status, refused.headers["content-range"]), (416, f"bytes */{len(whole.body)}"))
        self.assertEqual(self.image("w:70", extension="@png", Range="bytes=0-1,4-5").body, whole.body)
        head = self.server.get(
            f"/unsafe/w:70/plain/{quote(self.origin.url('/photo.jpg'), safe='')}@png", {"Range": "bytes=0-1"}, "HEAD"
        )
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(whole.body))))


class EndlessOrigin:
    """Sends the same head on every connection, and then zeros until the client closes it."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.requests: list[bytes] = []
        self.closed = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/video"
        Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536))
                try:
                    connection.sendall(self.head)
                    while True:
                        connection.sendall(bytes(65536))
                except OSError:
                    self.closed += 1


class RawTests(WireCase):
    settings = {"RESPONSE_HEADERS_PASSTHROUGH": "X-Passed", "CUSTOM_RESPONSE_HEADERS": "X-Own=yes"}

    def raw(self, head: bytes, method: str = "GET", **headers: str) -> tuple[Reply, EndlessOrigin]:
        origin = EndlessOrigin(b"HTTP/1.1 " + head + b"\r\n\r\n")
        self.addCleanup(origin.listener.close)
        path = f"/unsafe/raw:1/plain/{quote(origin.url, safe='')}"
        reply = self.server.get(path, {name.replace("_", "-"): value for name, value in headers.items()}, method)
        wait_for(lambda: origin.closed, "the end of the origin's connection")
        return reply, origin

    def test_head_does_not_fetch_the_body(self) -> None:
        reply, origin = self.raw(b'200 OK\r\nContent-Length: 99000000000\r\nETag: "a"\r\nContent-Type: video/x', "HEAD")
        self.assertEqual((reply.status, reply.headers["content-length"], reply.body), (200, "99000000000", b""))
        self.assertEqual((reply.headers["etag"], reply.headers["content-type"]), ('"a"', "video/x"))
        self.assertEqual(len(origin.requests), 1)

    def test_good_copy_gets_304(self) -> None:
        for condition in ({"If_None_Match": 'W/"a"'}, {"If_Modified_Since": "Wed, 21 Oct 2015 07:28:00 GMT"}):
            validators = b'ETag: "a"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT'
            reply, origin = self.raw(b"200 OK\r\nContent-Length: 99000000000\r\n" + validators, **condition)
            self.assertEqual((reply.status, reply.headers["etag"], reply.body), (304, '"a"', b""))
            name, value = next(iter(condition.items()))
            self.assertIn(f"{name.replace('_', '-')}: {value}".lower(), origin.requests[0].decode().lower())

    def test_body_that_does_not_match_if_match_gets_412(self) -> None:
        reply, _ = self.raw(b'200 OK\r\nContent-Length: 99000000000\r\nETag: "a"', If_Match='"b"')
        self.assertEqual((reply.status, reply.body.count(b"\n")), (412, 1))

    def test_304_of_the_origin_is_passed_on(self) -> None:
        reply, _ = self.raw(b'304 Not Modified\r\nETag: "b"\r\nConnection: close', If_None_Match='"b"')
        self.assertEqual((reply.status, reply.headers["etag"]), (304, '"b"'))
        self.assertNotIn("content-length", reply.headers)

    def test_error_of_an_origin_that_ends_after_its_head_has_no_headers_of_the_source(self) -> None:
        head = (
            b'HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nETag: "a"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT'
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(head + b"\r\nAccept-Ranges: bytes\r\nX-Passed: yes\r\nContent-Length: 9\r\n\r\n")

            Thread(target=answer).start()
            source = quote(f"http://127.0.0.1:{listener.getsockname()[1]}/", safe="")
            reply = self.server.get(f"/unsafe/raw:1/att:1/plain/{source}")
        self.assertEqual((reply.status, reply.headers["x-own"]), (502, "yes"))
        self.assertEqual(
            (reply.headers["content-type"][:10], reply.headers["cache-control"]), ("text/plain", "no-store")
        )
        names = {"etag", "last-modified", "accept-ranges", "content-disposition", "x-passed", "content-security-policy"}
        self.assertEqual(names & set(reply.headers), set())

    def test_416_of_the_origin_is_passed_on(self) -> None:
        reply, _ = self.raw(
            b"416 Range Not Satisfiable\r\nContent-Range: bytes */12\r\nContent-Length: 9000000", Range="bytes=99-"
        )
        self.assertEqual((reply.status, reply.headers["content-range"]), (416, "bytes */12"))
        self.assertEqual(reply.body.count(b"\n"), 1)

    def test_unrequested_304_and_206_of_an_origin_get_502(self) -> None:
        for status in (b"304 Not Modified", b"206 Partial Content"):
            reply, _ = self.raw(status + b"\r\nContent-Range: bytes 0-8999999/99999999\r\nContent-Length: 9000000")
            self.assertEqual(reply.status, 502, status)

    def test_source_without_a_type_has_no_content_type(self) -> None:
        reply, _ = self.raw(b"200 OK\r\nContent-Length: 9", "GET")
        self.assertNotIn("content-type", reply.headers)
