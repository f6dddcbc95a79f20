"""Sources that are no whole images, on the real server: parts of files, and what redirects lead to instead of one."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import decode, encode, gradient
from tests.support.process import Origin, Reply, Twistd, wait_for

WHOLE = encode(gradient(320, 200), "JPEG", quality=95)
PART = WHOLE[: len(WHOLE) // 2]
PAGE = b"<!doctype html><title>Sign in</title>"


class OddSourceTests(SynchronousTestCase):
    """One server that shows parts of files, started once."""

    server: Twistd
    origin: Origin
    moved: Origin

    @classmethod
    def setUpClass(cls) -> None:
        files = {"/whole.jpg": WHOLE, "/part.jpg": PART, "/login": PAGE}
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

    def get(self, before: str, url: str, **headers: str) -> Reply:
        return self.server.get(f"{before}/plain/{quote(url, safe='')}", headers)

    def test_a_part_is_shown_and_marked_on_every_way_to_the_client(self) -> None:
        whole, part = (self.origin.url(path) for path in ("/whole.jpg", "/part.jpg"))
        made = [self.get("/unsafe/w:80", part) for _ in range(3)]  # made, from the cache, by the fast lane
        states = [re.findall("MISS|HIT", reply.headers["cache-status"]) for reply in made]
        self.assertEqual(states, [["MISS"], ["HIT"], ["HIT"]])
        for reply in made:
            self.assertEqual((reply.status, reply.headers["source-truncated"]), (200, "1"))
            self.assertEqual(decode(reply.body).size, (80, 50))
        etag = {"If-None-Match": made[0].headers["etag"]}
        not_modified = self.server.get(f"/unsafe/w:80/plain/{quote(part, safe='')}", etag)
        self.assertEqual((not_modified.status, not_modified.headers["source-truncated"]), (304, "1"))
        self.assertNotIn("source-truncated", self.get("/unsafe/w:80", whole).headers)
        wait_for(lambda: self.server.metric("truncated_images_total") == 1, "one image that was made of a part")
        self.assertIn(f"{part} ends too early", self.server.output())

    def test_info_says_that_it_saw_a_part(self) -> None:
        for path, truncated in (("/part.jpg", True), ("/whole.jpg", None)):
            told = json.loads(self.get("/info/unsafe/avg:1", self.origin.url(path)).body)
            self.assertEqual((told["width"], told.get("truncated")), (320, truncated))
            self.assertEqual((told["content_type"], told["mime_type"]), ("text/html; charset=utf-8", "image/jpeg"))

    def test_what_is_no_image_is_told_by_its_type_and_size_and_the_log_knows_where_it_was(self) -> None:
        for before in ("/unsafe/w:80", "/info/unsafe"):
            reply = self.get(before, self.moved.url("/a.jpg"))
            said = f"the source is no image of a known format: text/html, {len(PAGE)} bytes\n"
            self.assertEqual((reply.status, reply.body.decode()), (422, said))
            identity = reply.headers["x-request-id"]
            lines = [line for line in self.server.output().splitlines() if identity in line and "redirected" in line]
            self.assertEqual(len(lines), 1, before)
            self.assertIn(self.origin.url("/login"), lines[0])
            self.assertNotIn("secret", lines[0])


class CachedPartTests(SynchronousTestCase):
    def test_a_part_in_the_cache_is_not_shown_once_parts_are_refused(self) -> None:
        origin = Origin({"/part.jpg": PART})
        self.addCleanup(origin.close)
        server = Twistd({"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1", "CACHE_TYPE": "disk"})
        server.settings = {**server.settings, "CACHE_DISK_PATH": f"{server.scratch.name}/kept"}
        self.addCleanup(server.clean)
        path = f"/unsafe/w:80/plain/{quote(origin.url('/part.jpg'), safe='')}"
        refusing = server.settings
        for settings, status in ((refusing | {"TRUNCATED_IMAGES": "serve"}, 200), (refusing, 422)):
            server.settings = settings
            server.start()
            reply = server.get(path)
            self.assertEqual(
                (reply.status, reply.headers.get("source-truncated")), (status, "1" if status == 200 else None)
            )
            server.stop()
