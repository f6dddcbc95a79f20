"""The log names what explains an error and decides it; in development mode the body does."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.error_catalogue import CHAPTERS
from imgforge.urls import Signer
from tests.support.process import Origin, Twistd, wait_for

KEY, SALT = b"\xaa" * 32, b"\xbb" * 32
SETTINGS = {
    "PROCESSES": "1",
    "KEY": KEY.hex(),
    "SALT": SALT.hex(),
    "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
    "LOG_FORMAT": "json",
    "SOURCE_RETRIES": "0",
}
PATH = "/w:3/plain/http://x/a.jpg"


class _Text(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


class LogTests(SynchronousTestCase):
    def test_line_of_an_error_names_its_chapter_and_the_settings(self) -> None:
        server = Twistd(SETTINGS)
        self.addCleanup(server.clean)
        server.start()
        unsalted = Signer(KEY, b"").sign(PATH)
        self.assertEqual(server.get(unsalted).body, b"the signature does not match the path\n")
        server.get(Signer(KEY, SALT).sign("/wdth:3/plain/http://x/a.jpg"))
        wait_for(lambda: "unknown-option" in server.output(), "the lines of the errors")
        lines = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
        by_chapter = {line["see"]: line for line in lines if "see" in line}
        wrong = by_chapter["docs/errors.md#signature-mismatch"]
        self.assertIn("IMGFORGE_KEY, IMGFORGE_SALT", wrong["settings"])
        self.assertIn("; see docs/errors.md#signature-mismatch; settings IMGFORGE_KEY", wrong["message"])
        self.assertIn("'wdth'", by_chapter["docs/errors.md#unknown-option"]["message"])


class DevelopmentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.origin = Origin({}, status=500)
        self.addCleanup(self.origin.close)
        self.server = Twistd({**SETTINGS, "DEVELOPMENT_ERRORS_MODE": "true"})
        self.addCleanup(self.server.clean)
        self.server.start()

    def test_body_has_the_mistake_the_cause_and_the_cure(self) -> None:
        reply = self.server.get(Signer(KEY, b"").sign(PATH))
        lines = reply.body.decode().splitlines()
        self.assertEqual((reply.status, lines[0]), (403, "the signature does not match the path"))
        rows = dict(line.split("  ", 1) for line in lines[2:])
        rows = {name: value.strip() for name, value in rows.items()}
        self.assertIn("salt was left out", rows["hint"])
        self.assertEqual(rows["see"], "docs/errors.md#signature-mismatch")
        self.assertIn("IMGFORGE_SALT", rows["settings"])
        self.assertEqual(rows["request"], reply.headers["x-request-id"])
        # Of the first characters of a signature nothing is told: clients could guess them one after another.
        right = Signer(KEY, SALT).sign(PATH)[1:].partition("/")[0]
        for known in (6, 12, 39):
            self.assertNotIn(b"hint", self.server.get(f"/{right[:known]}{PATH}").body)
        self.assertIn(b"hint", self.server.get(f"/{right[:-1]}{PATH}").body)
        for secret in (KEY.hex(), SALT.hex(), Signer(KEY, SALT).sign(PATH)[1:30]):
            self.assertNotIn(secret, reply.body.decode())
        self.assertEqual(reply.headers["cache-control"], "no-store")
        self.server.assert_logged("IMGFORGE_DEVELOPMENT_ERRORS_MODE: errors show every client")

    def test_cause_is_shown_without_the_query_of_the_source(self) -> None:
        path = Signer(KEY, SALT).sign(f"/w:3/plain/{self.origin.url('/a.jpg')}%3Ftoken=s3cr3t")
        reply = self.server.get(path)
        self.assertEqual((reply.status, b"s3cr3t" in reply.body), (502, False))
        self.assertIn(b"docs/errors.md#origin-status", reply.body)

    def test_browser_gets_a_page_in_which_the_url_is_text(self) -> None:
        path = Signer(KEY, SALT).sign("/%3Cscript%3Ealert(1)%3C%2Fscript%3E:3/plain/http://x/a.jpg")
        reply = self.server.get(path, {"Accept": "text/html,*/*;q=0.8"})
        self.assertEqual((reply.status, reply.headers["content-type"]), (400, "text/html; charset=utf-8"))
        self.assertIn("default-src 'none'", reply.headers["content-security-policy"])
        page = _Text(reply.body.decode())
        self.assertNotIn("script", page.tags)
        self.assertIn("<script>", page.text)
        self.assertIn("docs/errors.md#unknown-option", page.text)


class DocumentTests(SynchronousTestCase):
    def test_document_has_each_anchor(self) -> None:
        text = Path(__file__).parents[2].joinpath("docs/errors.md").read_text("utf-8")
        for _, _, entries in CHAPTERS:
            for entry in entries:
                self.assertIn(f"\n### {entry.anchor}\n", text)
