"""Truncated images and redirects to HTML pages as sources, on the real server."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import decode, encode, gradient
from tests.support.process import Origin, Reply, Twistd, wait_for

WHOLE = encode(gradient(320, 200), "JPEG", quality=95)
TRUNCATED = WHOLE[: len(WHOLE) // 2]
PAGE = b"<!doctype html><title>Sign in</title>"


class OddSourceTests(SynchronousTestCase):
    """One server that serves truncated images, started once."""

    server: Twistd
    origin: Origin
    moved: Origin

    @classmethod
    def setUpClass(cls) -> None:
        files = {"/whole.jpg": WHOLE, "/truncated.jpg": TRUNCATED, "/login": PAGE}
        cls.origin = Origin(files, {"Content-Type": "text/html; charset=utf-8"})
        cls.moved = Origin({}, {"Location": cls.origin.url("/login?token=secret")}, status=302)
        cls.server = Twistd({
            "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1", "CACHE_TYPE": "memory",
            "TRUNCATED_IMAGES": "serve",
        }).start()  # fmt: skip

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()
        cls.server.clean()
        cls.origin.close()
        cls.moved.close()

    def get(self, options: str, url: str, **headers: str) -> Reply:
        return self.server.get(f"{options}/plain/{quote(url, safe='')}", headers)

    def test_a_truncated_image_is_served_with_a_header_on_every_path_to_the_client(self) -> None:
        whole, truncated = (self.origin.url(path) for path in ("/whole.jpg", "/truncated.jpg"))
        replies = [self.get("/unsafe/w:80", truncated) for _ in range(3)]  # processed, from the cache, by the fast lane
        states = [re.findall("MISS|HIT", reply.headers["cache-status"]) for reply in replies]
        self.assertEqual(states, [["MISS"], ["HIT"], ["HIT"]])
        for reply in replies:
            self.assertEqual((reply.status, reply.headers["source-truncated"]), (200, "1"))
            self.assertEqual(decode(reply.body).size, (80, 50))
        etag = {"If-None-Match": replies[0].headers["etag"]}
        not_modified = self.server.get(f"/unsafe/w:80/plain/{quote(truncated, safe='')}", etag)
        self.assertEqual((not_modified.status, not_modified.headers["source-truncated"]), (304, "1"))
        self.assertNotIn("source-truncated", self.get("/unsafe/w:80", whole).headers)
        wait_for(lambda: self.server.metric("truncated_images_total") == 1, "one truncated image")
        self.server.assert_logged(f"{truncated} ends too early")

    def test_info_reports_a_truncated_image(self) -> None:
        for path, truncated in (("/truncated.jpg", True), ("/whole.jpg", None)):
            info = json.loads(self.get("/info/unsafe/avg:1", self.origin.url(path)).body)
            self.assertEqual((info["width"], info.get("truncated")), (320, truncated))
            self.assertEqual((info["content_type"], info["mime_type"]), ("text/html; charset=utf-8", "image/jpeg"))

    def test_the_error_for_a_page_has_its_type_and_size_and_the_log_has_its_url(self) -> None:
        for options in ("/unsafe/w:80", "/info/unsafe"):
            reply = self.get(options, self.moved.url("/a.jpg"))
            error = f"the source is no image of a known format: text/html, {len(PAGE)} bytes\n"
            self.assertEqual((reply.status, reply.body.decode()), (422, error))
            identity = reply.headers["x-request-id"]
            self.server.assert_logged(identity)
            lines = [line for line in self.server.output().splitlines() if identity in line and "redirected" in line]
            self.assertEqual(len(lines), 1, options)
            self.assertIn(self.origin.url("/login"), lines[0])
            self.assertNotIn("secret", lines[0])


class CachedTruncatedImageTests(SynchronousTestCase):
    def test_a_truncated_image_in_the_cache_is_not_served_once_they_are_refused(self) -> None:
        origin = Origin({"/truncated.jpg": TRUNCATED})
        self.addCleanup(origin.close)
        server = Twistd({"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1", "CACHE_TYPE": "disk"})
        server.settings = {**server.settings, "CACHE_DISK_PATH": f"{server.scratch.name}/kept"}
        self.addCleanup(server.clean)
        path = f"/unsafe/w:80/plain/{quote(origin.url('/truncated.jpg'), safe='')}"
        refusing = server.settings
        for settings, status in ((refusing | {"TRUNCATED_IMAGES": "serve"}, 200), (refusing, 422)):
            server.settings = settings
            server.start()
            reply = server.get(path)
            self.assertEqual(
                (reply.status, reply.headers.get("source-truncated")), (status, "1" if status == 200 else None)
            )
            server.stop()
