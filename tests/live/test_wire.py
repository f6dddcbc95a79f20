"""What goes over the wire, byte for byte, and what it costs whom."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from threading import Thread
from urllib.parse import quote

from tests.support.live_server import LiveServer
from tests.support.malformed_requests import REFUSED
from tests.support.pictures import encode, gradient
from tests.support.process import DEADLINE, Reply, Twistd, wait_for


class WireCase(LiveServer):
    def say(self, data: bytes) -> bytes:
        """All that comes back for *data* until the server closes."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=DEADLINE) as connection:
            connection.sendall(data)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer


class RefusalTests(WireCase):
    settings = {"ACCESS_LOG": "common", "SERVER_NAME": "pictures"}

    def test_what_is_ambiguous_gets_one_answer_of_ours(self) -> None:
        for name, (status, data) in REFUSED.items():
            answer = self.say(data)
            head = answer.partition(b"\r\n\r\n")[0]
            self.assertEqual(int(head[9:12]), status, name)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, name)
            self.assertIn(b"\r\nServer: pictures", head, name)
            self.assertIn(b"\r\nX-Request-Id: ", head, name)
        metrics = self.server.get("/metrics").body
        self.assertIn(b'status_codes_total{status="431"}', metrics)

    def test_the_name_of_twisted_is_told_nowhere(self) -> None:
        for target in (b"*", b"/", b"/status", b"/nothing"):
            answer = self.say(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
            self.assertNotIn(b"Twisted", answer)


class RateTests(WireCase):
    settings = {"RATE_LIMIT_PER_MINUTE": "3", "CACHE_TYPE": "memory", "SECRET": "s"}
    token = "Bearer s"

    def setUp(self) -> None:
        self.origin.files["/other.jpg"] = encode(gradient(30, 20), "JPEG")

    def test_only_work_for_those_who_may_ask_is_counted(self) -> None:
        for _ in range(5):
            self.assertEqual(self.image("w:9", Authorization="Bearer x").status, 403)
            self.assertEqual(self.image("exp:1", Authorization=self.token).status, 404)
            self.assertEqual(self.image("nonsense:1", Authorization=self.token).status, 400)
        self.assertEqual(self.image("w:9", Authorization=self.token).status, 200)
        for _ in range(10):
            self.assertEqual(self.image("w:9", Authorization=self.token).status, 200)
            the_normal_way = self.image("w:9", Authorization=self.token, X_Not_Plain="1")
            self.assertIn("HIT memory", the_normal_way.headers["cache-status"])
        url = quote(self.origin.url("/other.jpg"), safe="")
        told = self.server.get(f"/info/unsafe/plain/{url}", {"Authorization": self.token})
        self.assertEqual(told.status, 200)
        self.assertEqual(self.image("raw:1", "/other.jpg", Authorization=self.token).status, 200)
        asked = len(self.origin.requests)
        for options in ("w:8", "raw:1", "w:7"):
            refused = self.image(options, "/other.jpg", Authorization=self.token)
            self.assertEqual((refused.status, int(refused.headers["retry-after"]) > 0), (429, True))
        self.assertEqual(len(self.origin.requests), asked)


class ClientTests(WireCase):
    settings = {
        "ALLOW_UNSIGNED": "true",
        "CACHE_TYPE": "memory",
        "ACCESS_LOG": "json",
        "ALLOWED_CLIENTS": "192.0.2.0/24,2001:db8::/32",
        "TRUSTED_PROXIES": "127.0.0.0/8",
        "RATE_LIMIT_PER_CLIENT_PER_MINUTE": "2",
    }

    def test_only_who_is_allowed_is_answered_cached_or_not(self) -> None:
        for _ in range(3):  # made, from the cache, by the lane
            self.assertEqual(self.image("w:5", X_Forwarded_For="10.1.1.1, 192.0.2.1").status, 200)
            refused = self.image("w:5", X_Forwarded_For="192.0.2.1, 10.1.1.1")
            self.assertEqual((refused.status, refused.body), (403, b"this server does not serve your address\n"))
            self.assertEqual(self.image("w:5").status, 403)
        self.assertEqual((self.server.get("/status").status, self.server.get("/metrics").status), (200, 403))
        allowed = {"X-Forwarded-For": "192.0.2.1"}
        self.assertIn(b'refusals_total{reason="client"} 7.0', self.server.get("/metrics", allowed).body)

    def test_each_client_has_a_rate_of_its_own_and_is_logged(self) -> None:
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

    def test_hits_of_the_lane_are_logged_within_a_moment(self) -> None:
        for number in range(5):
            self.image("w:33", extension="@png", X_Request_ID=f"hit-{number}", User_Agent="tester")
        wait_for(lambda: "hit-4" in self.server.output(), "the line")
        lines = {line["request_id"]: line for line in self.lines()}
        for number in range(1, 5):
            told, made = lines[f"hit-{number}"], lines["hit-0"]
            for name in ("client", "method", "path", "status", "bytes", "agent"):
                self.assertEqual(told[name], made[name], name)
            self.assertIn("HIT memory", str(told["cache"]))
        self.assertIn("MISS", str(lines["hit-0"]["cache"]))

    def test_the_end_loses_no_lines(self) -> None:
        server = Twistd(self.server.settings).start()
        self.addCleanup(server.clean)
        url = quote(self.origin.url("/photo.jpg"), safe="")
        for number in range(20):
            server.get(f"/unsafe/w:33/plain/{url}@png", {"X-Request-ID": f"last-{number}"})
        server.stop()
        for number in range(20):
            self.assertIn(f'"last-{number}"', server.output())


class BlockedLogTests(WireCase):
    def test_a_log_that_nobody_reads_holds_up_no_answer(self) -> None:
        server = Twistd({"PROCESSES": "1", "ACCESS_LOG": "combined"})
        self.addCleanup(server.clean)
        pipe = Path(server.scratch.name, "pipe")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        server.options = ("--logfile", str(pipe))
        server.start()
        asked = b"".join(b"GET /status?%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(2000))
        last = b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as connection:
            Thread(target=connection.sendall, args=(asked + last,), daemon=True).start()
            answers = b"".join(iter(lambda: connection.recv(65536), b""))
        self.assertEqual(answers.count(b"HTTP/1.1 200 "), 2001)
        # Beyond what a pipe holds; once it is read all lines come, whole and in order.
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

    def test_ranges_of_a_result_are_its_parts(self) -> None:
        whole = self.image("w:70", extension="@png")
        for _ in range(2):  # made, and cached
            part = self.image("w:70", extension="@png", Range="bytes=10-19", If_Range=whole.headers["etag"])
            self.assertEqual((part.status, part.body), (206, whole.body[10:20]))
            self.assertEqual(part.headers["content-range"], f"bytes 10-19/{len(whole.body)}")
            self.assertEqual((part.headers["etag"], part.headers["content-length"]), (whole.headers["etag"], "10"))
            another = self.image("w:70", extension="@png", Range="bytes=10-19", If_Match='"another"')
            self.assertEqual((another.status, another.body.count(b"\n")), (412, 1))
        self.assertEqual(self.image("w:70", extension="@png").body, whole.body)
        self.assertEqual(whole.headers["accept-ranges"], "bytes")
        refused = self.image("w:70", extension="@png", Range="bytes=999999999-")
        self.assertEqual((refused.status, refused.headers["content-range"]), (416, f"bytes */{len(whole.body)}"))
        self.assertEqual(self.image("w:70", extension="@png", Range="bytes=0-1,4-5").body, whole.body)
        head = self.server.get(
            f"/unsafe/w:70/plain/{quote(self.origin.url('/photo.jpg'), safe='')}@png", {"Range": "bytes=0-1"}, "HEAD"
        )
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(whole.body))))


class ScriptedOrigin:
    """Gives every connection the same head, and then zeros until it is cut."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.asked: list[bytes] = []
        self.cut = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/film"
        Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536))
                try:
                    connection.sendall(self.head)
                    while True:
                        connection.sendall(bytes(65536))
                except OSError:
                    self.cut += 1


class RawTests(WireCase):
    def raw(self, head: bytes, method: str = "GET", **headers: str) -> tuple[Reply, ScriptedOrigin]:
        origin = ScriptedOrigin(b"HTTP/1.1 " + head + b"\r\n\r\n")
        self.addCleanup(origin.listener.close)
        path = f"/unsafe/raw:1/plain/{quote(origin.url, safe='')}"
        reply = self.server.get(path, {name.replace("_", "-"): value for name, value in headers.items()}, method)
        wait_for(lambda: origin.cut, "the end of the origin's connection")
        return reply, origin

    def test_head_leaves_the_body_at_the_origin(self) -> None:
        reply, origin = self.raw(b'200 OK\r\nContent-Length: 99000000000\r\nETag: "a"\r\nContent-Type: video/x', "HEAD")
        self.assertEqual((reply.status, reply.headers["content-length"], reply.body), (200, "99000000000", b""))
        self.assertEqual((reply.headers["etag"], reply.headers["content-type"]), ('"a"', "video/x"))
        self.assertEqual(len(origin.asked), 1)

    def test_a_copy_that_is_still_good_is_not_sent_again(self) -> None:
        for condition in ({"If_None_Match": 'W/"a"'}, {"If_Modified_Since": "Wed, 21 Oct 2015 07:28:00 GMT"}):
            validators = b'ETag: "a"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT'
            reply, origin = self.raw(b"200 OK\r\nContent-Length: 99000000000\r\n" + validators, **condition)
            self.assertEqual((reply.status, reply.headers["etag"], reply.body), (304, '"a"', b""))
            name, value = next(iter(condition.items()))
            self.assertIn(f"{name.replace('_', '-')}: {value}".lower(), origin.asked[0].decode().lower())

    def test_a_body_that_is_not_the_wanted_one_is_not_sent(self) -> None:
        reply, _ = self.raw(b'200 OK\r\nContent-Length: 99000000000\r\nETag: "a"', If_Match='"b"')
        self.assertEqual((reply.status, reply.body.count(b"\n")), (412, 1))

    def test_the_origin_may_say_so_itself(self) -> None:
        reply, _ = self.raw(b'304 Not Modified\r\nETag: "b"\r\nConnection: close', If_None_Match='"b"')
        self.assertEqual((reply.status, reply.headers["etag"]), (304, '"b"'))
        self.assertNotIn("content-length", reply.headers)

    def test_a_range_that_the_origin_refuses_is_refused(self) -> None:
        reply, _ = self.raw(
            b"416 Range Not Satisfiable\r\nContent-Range: bytes */12\r\nContent-Length: 9000000", Range="bytes=99-"
        )
        self.assertEqual((reply.status, reply.headers["content-range"]), (416, "bytes */12"))
        self.assertEqual(reply.body.count(b"\n"), 1)

    def test_what_nobody_asked_for_is_an_origins_fault(self) -> None:
        for status in (b"304 Not Modified", b"206 Partial Content"):
            reply, _ = self.raw(status + b"\r\nContent-Range: bytes 0-8999999/99999999\r\nContent-Length: 9000000")
            self.assertEqual(reply.status, 502, status)

    def test_a_source_of_an_unknown_kind_is_not_called_html(self) -> None:
        reply, _ = self.raw(b"200 OK\r\nContent-Length: 9", "GET")
        self.assertNotIn("content-type", reply.headers)
