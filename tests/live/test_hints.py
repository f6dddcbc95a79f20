"""Client hints, raw UTF-8 targets, and proxies in front of a server without a key."""

from __future__ import annotations

import socket

from imgforge.urls import Signer
from tests.support.live_server import KEY, SALT, LiveServer
from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Reply, Twistd


class ClientHintTests(LiveServer):
    settings = {
        "ENABLE_CLIENT_HINTS": "true",
        "CACHE_TYPE": "memory",
        "PURGE_SECRET": "s",
        "AUTO_WEBP": "true",
        "MAX_RESULT_DIMENSION": "500",
    }

    def width(self, reply: Reply) -> int:
        self.assertEqual(reply.status, 200)
        return decode(reply.body).size[0]

    def test_hints_set_the_options_that_the_url_leaves_open_and_are_in_vary(self) -> None:
        for options, headers, width in (
            ("q:80", {"Width": "320"}, 320),
            ("q:80", {"Sec_CH_Width": "300", "Sec_CH_DPR": "2"}, 300),
            ("w:100", {"Width": "300", "DPR": "2"}, 200),
            ("w:100/dpr:3", {"Width": "320", "DPR": "2"}, 300),
            ("w:300/el:1", {"DPR": "8"}, 500),
            ("q:80", {"Width": "99999"}, 500),
        ):
            self.assertEqual(self.width(self.image(options, **headers)), width, (options, headers))
        self.assertEqual(self.image("q:81", Width="9").headers["vary"], "Accept, Sec-CH-DPR, DPR, Sec-CH-Width, Width")
        self.assertEqual(self.image("w:9").headers["vary"], "Accept, Sec-CH-DPR, DPR")
        self.assertEqual(self.image("w:9/dpr:2").headers["vary"], "Accept")

    def test_each_rounded_value_has_one_cache_entry(self) -> None:
        def key(**headers: str) -> str:
            return self.image("q:70", **headers).headers["x-cache-key"]

        keys = [key(Width="200"), key(Width="191"), key(Width="400", DPR="1.9"), key(Width="200", Accept="image/webp")]
        self.assertEqual(keys[0], keys[1])
        self.assertEqual(len(set(keys)), 3)
        for _ in range(3):  # from the cache, then by the fast lane
            self.assertEqual(self.width(self.image("q:70", Width="200")), 200)
            self.assertEqual(self.width(self.image("q:70", Width="210")), 210)
        self.assertIn("HIT", self.image("q:70", Width="205").headers["cache-status"])

    def test_purge_of_the_url_removes_all_variants(self) -> None:
        for width in ("20", "30"):
            self.image("q:71", Width=width)
        path = f"/unsafe/q:71/plain/{self.origin.url('/photo.jpg')}"
        purged = self.server.get(path, {"Authorization": "Bearer s"}, "PURGE")
        self.assertEqual(purged.body, b'{"purged": 2}\n')


class NoHintTests(LiveServer):
    def test_hints_are_ignored_by_default(self) -> None:
        reply = self.image("w:100", DPR="2", Width="300")
        self.assertEqual((decode(reply.body).size[0], reply.headers.get("vary")), (100, None))


class RawTargetTests(LiveServer):
    settings = {"KEY": KEY.hex(), "SALT": SALT.hex(), "CACHE_TYPE": "memory", "ACCESS_LOG": "common"}

    def exchange(self, target: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=DEADLINE) as connection:
            connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer

    def test_signed_path_may_be_raw_utf8(self) -> None:
        self.origin.files["/%C3%A4%E2%82%AC.png"] = encode(gradient(9, 9), "PNG")
        target = Signer(KEY, SALT).sign(f"/w:5/plain/{self.origin.url('/ä€.png')}").encode()
        self.assertTrue(self.exchange(target).startswith(b"HTTP/1.1 200 "))
        self.assertTrue(
            self.exchange(target.replace("ä".encode(), b"%C3%A4")).startswith(b"HTTP/1.1 403 ")
        )  # other bytes

    def test_no_byte_of_a_raw_path_becomes_a_line(self) -> None:
        for text in ("\x85Evil: 1", "\u2028Evil: 1", "\x9f", "\xa0"):
            path = f"/fn:x{text}/plain/{self.origin.url('/photo.jpg')}".replace(" ", "\xa0")
            head = self.exchange(Signer(KEY, SALT).sign(path).encode()).partition(b"\r\n\r\n")[0]
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            self.assertTrue(head.replace(b"\r\n", b"").decode("ascii").isprintable())
        self.assertTrue(self.exchange(b"/\xff\xfe/x").startswith(b"HTTP/1.1 403 "))
        self.assertFalse(any(line.startswith("Evil") for line in self.server.output().splitlines()))


class LocalProxyTests(LiveServer):
    settings = {"CACHE_TYPE": "memory"}

    def test_forwarded_request_is_refused_without_a_key(self) -> None:
        self.server.assert_logged("behind a proxy set IMGFORGE_KEY")
        for _ in range(3):
            self.assertEqual(self.image("w:5").status, 200)
            refused = self.image("w:5", X_Forwarded_For="127.0.0.1")
            self.assertEqual((refused.status, refused.headers["cache-control"]), (403, "no-store"))
            self.assertIn(b"IMGFORGE_ALLOW_UNSIGNED=true", refused.body)
        self.assertEqual(self.server.get("/status", {"Via": "1.1 x"}).status, 200)
        self.server.assert_logged("a proxy has forwarded this request")

    def test_foreign_host_name_is_refused_without_a_key(self) -> None:
        hosts = {"localhost": 200, "127.0.0.1:80": 200, "[::1]:3000": 200, "a.localhost": 200}
        hosts |= {"photos.example": 403, "localhost.example:3000": 403, "192.0.2.1": 403, "[::2]": 403}
        for _ in range(3):  # a miss, a hit, a hit of the fast lane
            for host, status in hosts.items():
                self.assertEqual(self.image("w:6", Host=host).status, status, host)
        self.assertEqual(self.server.get("/status", {"Host": "photos.example"}).status, 200)

    def test_unix_socket_needs_a_key_or_allow_unsigned(self) -> None:
        refused = Twistd({"BIND": "unix:/tmp/never"})
        self.addCleanup(refused.clean)
        refused.launch()
        assert refused.process is not None
        self.assertNotEqual(refused.process.wait(DEADLINE), 0)
        refused.assert_logged("needed to listen on unix:/tmp/never")


class AllowedProxyTests(LiveServer):
    settings = {"ALLOW_UNSIGNED": "true"}

    def test_allow_unsigned_serves_forwarded_requests(self) -> None:
        self.assertEqual(self.image("w:5", X_Forwarded_For="192.0.2.1").status, 200)
