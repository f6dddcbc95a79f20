"""The demo of a server without a key on loopback: its page, its images, those of a directory, its cache."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imgforge import __version__
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Reply, Twistd
from tests.support.service_case import ServiceCase

NAMES = ("plain.jpg", "b c.PNG", "what?.png", "50%25.png", "a@2x.png", '<b>&"quoted"\'.png', "ü/#deep.png")


def settings_of(page: Reply) -> dict[str, Any]:
    """The JSON in the page, by which its scripts work."""
    document: dict[str, Any] = json.loads(page.body.decode().partition('id="settings">')[2].partition("</script>")[0])
    return document


def tiles(page: Reply) -> dict[str, str]:
    """The paths of the small pictures on the page, by their source."""
    document = settings_of(page)
    return {
        one["source"]: f"unsafe/{document['tile']}plain/{quote(one['source'], '/:')}" for one in document["pictures"]
    }


class TryOutTests(ServiceCase):
    def test_every_picture_and_link_of_the_page_works_and_is_cached(self) -> None:
        running = self.server().start()
        page = running.get("/")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        for link in re.findall(r'href="([a-z]+)"', page.body.decode()):
            self.assertEqual(running.get(f"/{link}").status, 200, link)
        pictures = tiles(page)
        self.assertEqual(len(pictures), 5)
        for link in pictures.values():
            reply = running.get(f"/{link}")
            self.assertEqual(reply.status, 200, link)
            self.assertGreater(min(decode(reply.body).size), 30, link)
        moving = running.get("/unsafe/rs:fit:60:60/f:webp/plain/sample://animation")
        self.assertGreater(decode(moving.body).n_frames, 1)  # type: ignore[attr-defined]
        running.assert_logged("unsigned URLs are taken, from this machine only")
        running.assert_logged(f"a page to try it out on: http://127.0.0.1:{running.port}/\n")
        self.assertEqual(running.stop(), 0)
        running.start()
        self.assertIn("HIT disk", running.get(f"/{next(iter(pictures.values()))}").headers["cache-status"])

    def test_content_security_policy_allows_the_pages_scripts_and_styles(self) -> None:
        page = self.server().start().get("/")
        inline = re.findall(rb"<(?:script|style)>(.*?)</(?:script|style)>", page.body, re.DOTALL)
        self.assertGreater(len(inline), 2)
        for text in inline:
            digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
            self.assertIn(f"'sha256-{digest}'", page.headers["content-security-policy"])

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
        own = {one["source"]: one["name"] for one in settings_of(page)["pictures"] if one["own"]}
        self.assertEqual(list(own.values()), [*sorted(NAMES[:-1]), NAMES[-1]])
        for source, link in tiles(page).items():
            if source in own:
                whole = f"unsafe/plain/{quote(source, '/:')}"
                for address in (link, whole):
                    reply = running.get(f"/{address}")
                    self.assertEqual(reply.status, 200, (source, reply.body))
                    self.assertEqual(decode(reply.body).size, (60, 40), source)
        self.assertNotIn(b'<b>&"quoted"', page.body)
        self.assertIn(b"sample://landscape", page.body)
        (self.directory / "zz.png").write_bytes(encode(gradient(60, 40), "PNG"))
        self.assertIn(b"zz.png", running.get("/").body)

    def test_directory_that_cannot_be_read_is_named_in_the_log_and_on_the_page_and_leaves_the_samples(self) -> None:
        file, missing = self.directory / "notes.txt", self.directory / "later"
        for path, why, fault in (
            (file, "it is a file", "Not a directory"),
            (missing, "it does not exist, ", "No such file or directory"),
        ):
            running = self.server("--try", str(path)).start()
            running.assert_logged(f"--try {path}: no readable directory: {why}")
            self.assertEqual(running.output().count("--try"), 1)
            page = running.get("/")
            self.assertIn(b"sample://landscape", page.body)
            shown = settings_of(page)
            self.assertEqual((shown["root"], shown["rootFault"]), (str(path), fault))
            self.assertEqual(running.get("/unsafe/plain/local:///none.png").status, 502)
        missing.mkdir()  # as when a disk is mounted
        (missing / "a.png").write_bytes(encode(gradient(60, 40), "PNG"))
        page = running.get("/")
        self.assertEqual([one["name"] for one in settings_of(page)["pictures"] if one["own"]], ["a.png"])
        self.assertEqual(settings_of(page)["rootFault"], "")
        self.assertEqual(running.get("/unsafe/w:30/plain/local:///a.png").status, 200)

    def test_try_is_refused_with_a_key_or_allow_unsigned(self) -> None:
        for settings in ({"KEY": "aa", "SALT": "bb"}, {"ALLOW_UNSIGNED": "true"}):
            server = self.server("--try", str(self.directory), **settings)
            server.launch()
            assert server.process is not None
            self.assertEqual(server.process.wait(60), 1)
            self.assertEqual(len(server.output().splitlines()), 1)
            server.assert_logged("--try is for a server without IMGFORGE_KEY")
