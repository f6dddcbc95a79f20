"""The demo of a server without a key on loopback: its page, its images, those of a directory, its cache."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

from imgforge import __version__
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Reply, Twistd
from tests.support.service_case import ServiceCase

NAMES = ("plain.jpg", "b c.PNG", "what?.png", "50%25.png", "a@2x.png", '<b>&"quoted"\'.png', "ü/#deep.png")


def links(page: Reply) -> set[str]:
    return {unescape(link) for link in re.findall(r'(?:href|src)="([^"]+)"', page.body.decode())}


class TryOutTests(ServiceCase):
    def test_every_image_and_link_of_the_demo_page_works_and_is_cached(self) -> None:
        running = self.server().start()
        page = running.get("/")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        found = links(page)
        self.assertGreater(len(found), 10)
        pictures = [link for link in found if link.startswith("unsafe/")]
        for link in found:
            reply = running.get(f"/{link}")
            self.assertEqual(reply.status, 200, link)
            if link in pictures:
                self.assertGreater(min(decode(reply.body).size), 30, link)
                self.assertEqual(getattr(decode(reply.body), "n_frames", 1) > 1, "animation" in link, link)
        self.assertIn("unsigned URLs are taken, from this machine only", running.output())
        self.assertIn(f"a page to try it out on: http://127.0.0.1:{running.port}/\n", running.output())
        self.assertEqual(running.stop(), 0)
        running.start()
        self.assertIn("HIT disk", running.get(f"/{pictures[0]}").headers["cache-status"])

    def test_content_security_policy_allows_the_pages_script(self) -> None:
        page = self.server().start().get("/")
        (script,) = re.findall(rb"<script>(.*?)</script>", page.body, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        self.assertIn(f"script-src 'sha256-{digest}'", page.headers["content-security-policy"])

    def test_other_settings_keep_the_demo(self) -> None:
        running = Twistd(environment={"IMGFORGE_LOG_LEVEL": "debug", "IMGFORGE_PROCESSES": "1"})
        self.addCleanup(running.clean)
        running.start()
        self.assertIn(b"<html", running.get("/").body)
        picture = "/unsafe/w:30/plain/sample://logo@png"
        self.assertEqual(running.get(picture).status, 200)
        self.assertIn("HIT memory", running.get(picture).headers["cache-status"])
        self.assertIn("imgforge/", str(next(Path(running.scratch.name, "imgforge").iterdir())))

    def test_server_with_allow_unsigned_has_no_demo(self) -> None:
        running = self.server(PROCESSES="1", ALLOW_UNSIGNED="true").start()
        self.assertEqual(running.get("/").body, b"imgforge %s is running\n" % __version__.encode())
        self.assertEqual(running.get("/unsafe/w:30/plain/sample://logo@png").status, 404)


class DirectoryTests(ServiceCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name, "photos")
        for name in (*NAMES, ".hidden.png", ".thumbnails/a.png", "../outside.png"):
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(gradient(60, 40), "JPEG" if name.endswith("jpg") else "PNG"))
        (self.directory / "notes.txt").write_text("no picture")
        (self.directory / "up").symlink_to("..")

    def test_page_shows_the_images_of_the_directory(self) -> None:
        running = self.server("--try", str(self.directory)).start()
        page = running.get("/")
        shown = re.findall(
            r'<a href="([^"]+)" data-source="([^"]+)">\n?<img[^>]* alt="([^"]+)" src="([^"]+)">', page.body.decode()
        )
        self.assertEqual([unescape(name) for _, _, name, _ in shown], [*sorted(NAMES[:-1]), NAMES[-1]])
        for link, _, name, tile in shown:
            for address in (link, tile):
                reply = running.get(f"/{unescape(address)}")
                self.assertEqual(reply.status, 200, (name, reply.body))
                self.assertEqual(decode(reply.body).size, (60, 40), name)
                self.assertEqual(urlsplit(address).query, "", name)
        self.assertIn('name="source" value="local:///', page.body.decode())
        self.assertIn(b"sample://landscape", page.body)
        (self.directory / "zz.png").write_bytes(encode(gradient(60, 40), "PNG"))
        self.assertIn(b"zz.png", running.get("/").body)

    def test_missing_directory_is_named_and_leaves_the_samples(self) -> None:
        running = self.server("--try", f"{self.directory}/nowhere").start()
        self.assertIn(b"sample://landscape", running.get("/").body)
        self.assertIn(f"--try {self.directory}/nowhere: no readable directory", running.output())

    def test_try_is_refused_with_a_key_or_allow_unsigned(self) -> None:
        for settings in ({"KEY": "aa", "SALT": "bb"}, {"ALLOW_UNSIGNED": "true"}):
            server = self.server("--try", str(self.directory), **settings)
            server.launch()
            assert server.process is not None
            self.assertEqual(server.process.wait(60), 1)
            self.assertEqual(len(server.output().splitlines()), 1)
            self.assertIn("--try is for a server without IMGFORGE_KEY", server.output())
