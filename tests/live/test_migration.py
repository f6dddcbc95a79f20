"""docs/migration.md, taken at its word: its environment files are renamed, checked and run."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import Signer, UrlParser, UrlSettings
from tests.support.cli import imgforge
from tests.support.pictures import decode, encode, gradient
from tests.support.process import ROOT, Twistd, free_port

DOCUMENT = (ROOT / "docs" / "migration.md").read_text("utf-8")


def environment(name: str) -> dict[str, str]:
    """The environment file called *name* of the document, after the command that the document has for it."""
    (text,) = re.findall(rf"<!-- env: {name} -->\n\n```ini\n(.*?)```", DOCUMENT, re.DOTALL)
    if name == "imgproxy":
        (command,) = re.findall(r"sed '([^']*)' imgproxy.env", DOCUMENT)
        text = subprocess.run(["sed", command], input=text, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def defaults(step: str) -> dict[str, str]:
    """The settings of the step that says how to keep a peer's defaults."""
    (text,) = re.findall(rf"To keep {step}:\n\n((?: +IMGFORGE_[^\n]*\n)+)", DOCUMENT)
    return dict(line.strip().split("=", 1) for line in text.splitlines())


class MigrationTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        (self.root / "a.png").write_bytes(encode(gradient(400, 300), "PNG"))

    def served(self, given: dict[str, str], preset: str, size: tuple[int, int]) -> None:
        """Start a server on *given*, with free ports and a scratch directory, and ask it what an operator would."""
        apart, root = free_port(), str(self.root)
        here = {
            "IMGFORGE_PROMETHEUS_BIND": f"127.0.0.1:{apart}",
            "IMGFORGE_LOCAL_FILESYSTEM_ROOT": root,
            "IMGFORGE_CACHE_DISK_PATH": f"{root}/cache",
        }
        server = Twistd(environment={name: value for name, value in given.items() if name != "IMGFORGE_BIND"} | here)
        self.addCleanup(server.clean)
        server.start()
        path = f"/pr:{preset}/plain/local:///a.png"
        signed = Signer(bytes.fromhex(given["IMGFORGE_KEY"]), bytes.fromhex(given["IMGFORGE_SALT"])).sign(path)
        self.assertEqual(imgforge("verify", f"http://127.0.0.1:{server.port}{signed}", **given | here).returncode, 0)
        reply = server.get(signed)
        self.assertEqual((reply.status, decode(reply.body).size), (200, size), reply.body[:200])
        self.assertEqual(server.get(f"/unsafe{path}").status, 403)
        self.assertEqual([server.get(one).status for one in ("/health", "/status")], [200, 200])
        listener, server.port = server.port, apart
        self.assertIn(b"processed_images_total", server.get("/metrics").body)
        server.port = listener
        self.assertEqual(server.stop(), 0)

    def test_from_imgproxy(self) -> None:
        given = environment("imgproxy")
        checked = imgforge("config", "check", **given | {"IMGFORGE_LOCAL_FILESYSTEM_ROOT": str(self.root)})
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("IMGFORGE_MALLOC", checked.stderr)
        for line in checked.stderr.splitlines():
            self.assertIn(f"       {line}\n", DOCUMENT)
        self.served(given, "thumb", (150, 150))

    def test_from_the_rust_imgforge(self) -> None:
        given = environment("rust")
        self.assertEqual(imgforge("config", "check", **given).returncode, 0)
        self.served(given, "thumbnail", (150, 113))

    def test_what_keeps_the_defaults_of_each_is_understood(self) -> None:
        for step in ("imgproxy's", "the Rust imgforge's"):
            given = defaults(step)
            self.assertGreater(len(given), 4)
            checked = imgforge("config", "check", **given)
            self.assertEqual(checked.returncode, 0, checked.stderr)
            for name, value in given.items():
                self.assertNotIn(f"# {name.removeprefix('IMGFORGE_').lower()} = {value}\n", imgforge_example())

    def test_what_is_not_here_is_said_by_the_check(self) -> None:
        checked = imgforge("config", "check", **environment("imgproxy") | {"IMGFORGE_OBJECT_DETECTION_NET": "/net"})
        self.assertEqual((checked.returncode, "IMGFORGE_OBJECT_DETECTION_NET" in checked.stderr), (1, True))


class OtherUrlsTests(SynchronousTestCase):
    def test_what_stands_for_the_parts_of_thumbors_urls_is_understood(self) -> None:
        (table,) = re.findall(r"\| thumbor, imagor \| here \| \|\n\|---\|---\|---\|\n(.*?)\n\n", DOCUMENT, re.DOTALL)
        options = [text for row in table.splitlines() for text in re.findall(r"`([a-z]+:[^`]*)`", row.split("|")[2])]
        self.assertGreater(len(options), 15)
        (path,) = re.findall(r"here:   (\S+)", DOCUMENT)
        parser = UrlParser(UrlSettings(allow_unsigned=True))
        parser.parse(f"/unsafe{path}".encode())
        for text in options:
            parser.parse(f"/unsafe/{text}/plain/http://x/a.jpg".encode())


def imgforge_example() -> str:
    """The example file, which has every default."""
    return (ROOT / "etc" / "imgforge.toml").read_text("utf-8")


class IndexTests(SynchronousTestCase):
    def test_every_document_is_in_the_index_and_every_link_leads_somewhere(self) -> None:
        index = (ROOT / "docs" / "README.md").read_text("utf-8")
        for document in (ROOT / "docs").glob("*.md"):
            if document.name != "README.md":
                self.assertIn(f"({document.name})", index)
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
                self.assertTrue((document.parent / link).exists(), (document.name, link))
