"""A server for which nothing at all is configured: its page, its pictures, its cache."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape

from imgforge import __version__
from tests.live._pictures import decode
from tests.live.test_service import ServiceCase


class TryOutTests(ServiceCase):
    def test_every_picture_and_link_of_its_page_is_there_and_kept(self) -> None:
        running = self.server().start()
        page = running.get("/")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        links = {unescape(link) for link in re.findall(r'(?:href|src)="([^"]+)"', page.body.decode())}
        self.assertGreater(len(links), 10)
        pictures = [link for link in links if link.startswith("unsafe/")]
        for link in links:
            reply = running.get(f"/{link}")
            self.assertEqual(reply.status, 200, link)
            if link in pictures:
                self.assertGreater(min(decode(reply.body).size), 30, link)
        self.assertIn("unsigned URLs are taken, from this machine only", running.output())
        self.assertEqual(running.stop(), 0)
        running.start()
        self.assertIn("HIT disk", running.get(f"/{pictures[0]}").headers["cache-status"])

    def test_the_script_is_the_one_that_the_policy_lets_run(self) -> None:
        page = self.server(PROCESSES="1").start().get("/")
        self.assertEqual(page.body, b"imgforge %s is running\n" % __version__.encode())  # something is configured
        page = self.server().start().get("/")
        (script,) = re.findall(rb"<script>(.*?)</script>", page.body, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        self.assertIn(f"script-src 'sha256-{digest}'", page.headers["content-security-policy"])
