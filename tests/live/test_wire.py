"""What goes over the wire, byte for byte, and what it costs whom."""

from __future__ import annotations

import socket
from urllib.parse import quote

from tests.live._pictures import encode, gradient
from tests.live._process import DEADLINE
from tests.live.test_images import LiveServer
from tests.web.test_framing import REFUSED


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
