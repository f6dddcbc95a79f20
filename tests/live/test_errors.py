"""Errors, /info, /status and the landing page: status, text, and whether caches may store them."""

from __future__ import annotations

import base64
import json
import socket
from urllib.parse import quote

from imgforge.urls import Signer
from tests.support.live_server import KEY, SALT, LiveServer
from tests.support.loopback_server import DEADLINE
from tests.support.pictures import encode, gradient
from tests.support.process import Reply

SIGNER = Signer(KEY, SALT)


class ErrorTests(LiveServer):
    settings = {
        "KEY": KEY.hex(),
        "SALT": SALT.hex(),
        "ALLOWED_SOURCES": "http://127.0.0.1,s3://,http://10.0.0.1",
        "ALLOW_PRIVATE_SOURCE_ADDRESSES": "false",
        "LANDING_PAGE": "true",
        "CACHE_TYPE": "memory",
    }

    def signed(self, options: str, source: str, info: str = "", method: str = "GET", **headers: str) -> Reply:
        path = SIGNER.sign("/".join(["", *filter(None, (options, "plain", quote(source, safe="")))]))
        return self.server.get(info + path, {name.replace("_", "-"): value for name, value in headers.items()}, method)

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=DEADLINE) as connection:
            connection.sendall(data)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer

    def test_no_error_may_be_stored(self) -> None:
        photo = self.origin.url("/photo.jpg")
        for status, reply in (
            (400, self.signed("nonsense:1", photo)),
            (403, self.server.get(f"/x/plain/{quote(photo, safe='')}")),
            (404, self.signed("", self.origin.url("/nothing.jpg"))),
            (404, self.signed("exp:1", photo)),
            (404, self.server.get("/favicon.ico")),
            (405, self.signed("", photo, method="POST")),
            (405, self.server.get("/status", method="DELETE")),
            (412, self.signed("w:9", photo, If_Match='"x"')),
            (416, self.signed("w:9", photo, Range="bytes=9999999-")),
            (422, self.signed("", self.origin.url("/not-an-image"))),
        ):
            self.assertEqual((reply.status, reply.headers["cache-control"]), (status, "no-store"))
            self.assertEqual(reply.headers["content-type"], "text/plain; charset=utf-8")

    def test_error_for_a_malformed_request_may_not_be_stored(self) -> None:
        for status, request in (
            (400, b"GET\r\n\r\n"),
            (414, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
            (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n"),
            (501, b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
        ):
            answer = self.raw(request)
            self.assertEqual((int(answer[9:12]), answer.count(b"\r\nCache-Control: no-store\r\n")), (status, 1))

    def test_refused_source_has_no_fallback(self) -> None:
        fallback = base64.urlsafe_b64encode(self.origin.url("/photo.jpg").encode()).decode().rstrip("=")
        for source in (
            "s3://bucket/key.jpg",
            "https://other.example/a.jpg",
            "http://10.0.0.1/a.jpg",
            "http://u:p@127.0.0.1/",
        ):
            reply = self.signed(f"fiu:{fallback}", source)
            self.assertEqual((reply.status, reply.headers.get("fallback-image")), (404, None), source)
        missing = self.signed(f"fiu:{fallback}", self.origin.url("/nothing.jpg"))
        self.assertEqual((missing.status, missing.headers["fallback-image"]), (200, "1"))

    def test_info_may_be_stored_as_long_as_the_image(self) -> None:
        photo = self.origin.url("/photo.jpg")
        self.assertEqual(self.signed("", photo, "/info").headers["cache-control"], "max-age=31536000, public")
        reply = self.signed("exp:99999999999/size:1", photo, "/info")
        self.assertEqual(reply.headers["cache-control"], "max-age=31536000, public")

    def test_landing_page_is_served_beside_keys(self) -> None:
        for path in ("/", ""):
            page = self.server.get(path or "http://x")
            self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
            self.assertIn("default-src 'none'", page.headers["content-security-policy"])
        self.assertEqual(self.server.get("/favicon.ico").body, b"this server has no icon\n")

    def test_status_is_json_if_the_client_accepts_it(self) -> None:
        for path in ("/status", "/health"):
            reply = self.server.get(path, {"Accept": "text/html;q=0.1, Application/JSON"})
            self.assertEqual(reply.headers["content-type"], "application/json")
            self.assertEqual((reply.status, json.loads(reply.body)), (200, {"status": "ok"}))
            for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json;q=0"}):
                self.assertEqual(self.server.get(path, accept).body, b"imgforge is running\n")
            self.assertEqual(reply.headers["vary"], "Accept")


class StoredErrorTests(LiveServer):
    settings = {"CACHE_NOT_FOUND_TTL": "30", "CACHE_CONTROL_PASSTHROUGH": "true", "FALLBACK_IMAGE_TTL": "9"}

    def test_404_of_a_source_may_be_stored_if_configured(self) -> None:
        missing = self.image("", "/nothing.jpg")
        self.assertEqual((missing.status, missing.headers["cache-control"]), (404, "max-age=30, public"))
        for other in (self.image("exp:1"), self.image("", "/not-an-image"), self.server.get("/favicon.ico")):
            self.assertEqual(other.headers["cache-control"], "no-store")

    def test_origins_cache_control_applies_to_info(self) -> None:
        self.origin.headers["Cache-Control"] = "max-age=600, must-revalidate"
        self.addCleanup(self.origin.headers.pop, "Cache-Control")
        path = f"plain/{quote(self.origin.url('/photo.jpg'), safe='')}"
        reply = self.server.get(f"/info/unsafe/{path}")
        self.assertEqual(reply.headers["cache-control"], "max-age=600, must-revalidate")
        self.assertEqual(reply.headers["cache-control"], self.image("w:7").headers["cache-control"])


class StoredErrorOfClientTests(LiveServer):
    settings = {"CACHE_NOT_FOUND_TTL": "30", "COOKIE_PASSTHROUGH": "true"}

    def test_404_that_another_clients_cookie_may_change_is_not_stored(self) -> None:
        missing = self.image("", "/nothing.jpg")
        self.assertEqual((missing.status, missing.headers["cache-control"]), (404, "no-store"))


class FallbackTests(LiveServer):
    settings = {
        "FALLBACK_IMAGE_DATA": base64.b64encode(encode(gradient(8, 8), "PNG")).decode(),
        "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "false",
    }

    def test_fallback_image_does_not_replace_a_refused_source(self) -> None:
        self.assertEqual(self.server.get("/unsafe/plain/gs://bucket/a.jpg").status, 404)
        self.assertEqual(self.image("").status, 404)
