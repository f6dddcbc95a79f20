"""`imgforge playground`: it signs for its own page only, on loopback, and leaves the operator's server alone."""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cli import imgforge
from tests.support.pictures import decode, encode, gradient
from tests.support.playground import Playground
from tests.support.process import Reply, Twistd
from tests.support.service_case import ServiceCase

KEY, SALT = "ab" * 32, "cd" * 32
PATH = "/rs:fit:30:30/plain/sample://logo@png"
SECRETS = ("ab" * 8, "cd" * 8, "operators-secret", "purge-secret")


def asked(
    port: int, path: str, headers: Mapping[str, str] | None = None, question: object = None, method: str = ""
) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        body = None if question is None else json.dumps(question)
        connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class SigningTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)

    def start(self, *arguments: str, **settings: str) -> Playground:
        playground = Playground(*arguments, **settings)
        self.addCleanup(playground.clean)
        return playground

    def signed(self, playground: Playground, path: str = PATH, **headers: str) -> Reply:
        """The answer to the page's question for a signature; an empty header is left out."""
        every = {
            "Host": f"127.0.0.1:{playground.port}",
            "Origin": f"http://127.0.0.1:{playground.port}",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {playground.token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in every.items() if value}
        return asked(playground.port, "/playground/sign", sent, {"paths": [path]})

    def test_page_gets_signatures_with_the_operators_keys_and_nobody_else_does(self) -> None:
        config = self.directory / "imgforge.toml"
        config.write_text(f'key = "{KEY}"\nsalt = "{SALT}"\n[presets]\nthumb = "rs:fit:20:20"\n')
        playground = self.start("--config", str(config))
        reply = self.signed(playground)
        self.assertEqual(reply.status, 200, reply.body)
        (url,) = json.loads(reply.body)["paths"]
        self.assertTrue(url.endswith(PATH))
        self.assertEqual(decode(asked(playground.port, url).body).size, (30, 30))
        self.assertEqual(asked(playground.port, "/unsafe" + PATH).status, 403)
        verified = imgforge("verify", url, IMGFORGE_KEY=KEY, IMGFORGE_SALT=SALT)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

        for refused, headers in {
            403: (
                {"Authorization": ""},
                {"Authorization": "Bearer wrong"},
                {"Origin": "http://evil.example"},
                {"Origin": "null"},
                {"Origin": f"https://127.0.0.1:{playground.port}"},
                {"Host": "evil.example", "Origin": "http://evil.example"},
                {"Host": f"evil.example:{playground.port}", "Origin": ""},
                {"Sec_Fetch_Site": "cross-site"},
                {"Sec_Fetch_Site": "same-site"},
            ),
            400: ({"Content_Type": "text/plain"}, {"Content_Type": ""}),
        }.items():
            for one in headers:
                reply = self.signed(playground, **one)
                self.assertEqual(reply.status, refused, (one, reply.body))
                self.assertNotIn(url.split("/")[1].encode(), reply.body)
        for path in ("no-slash", "/a b", "/a?b", "/a#b", "/\u00e9", "/a\r\nX: y"):
            self.assertEqual(self.signed(playground, path).status, 400, path)
        questions: tuple[object, ...] = ({"paths": ["/a"] * 257}, {"paths": "/a"}, [], {"paths": [], "key": 1}, 1)
        page_headers = {"Content-Type": "application/json", "Authorization": f"Bearer {playground.token}"}
        for question in (*questions, {"paths": ["/" * 70000]}):
            reply = asked(playground.port, "/playground/sign", page_headers, question)
            self.assertIn(reply.status, (400, 413), question if len(str(question)) < 200 else "long")
        self.assertEqual(asked(playground.port, "/playground/sign").status, 405)
        self.assertEqual(asked(playground.port, "/playground/sign", method="OPTIONS").status, 405)
        self.assertEqual(asked(playground.port, "/", {"Host": "evil.example"}).status, 403)

        page = asked(playground.port, "/")
        self.assertEqual(page.status, 200)
        self.assertIn(b'"thumb"', page.body)
        self.assertIn(b'"signs": true', page.body)
        self.assertNotIn(playground.token.encode(), page.body)
        with self.assertRaises(OSError):  # not on 0.0.0.0: other addresses of this machine are closed
            socket.create_connection(("127.0.0.2", playground.port), 1)
        output = playground.output()
        self.assertEqual(output.count(playground.token), 1)
        for secret in SECRETS:
            self.assertNotIn(secret, output + page.body.decode())
        self.assertEqual(playground.stop(), 0)

    def test_page_gets_explanations_without_secrets_and_nobody_else_does(self) -> None:
        playground = self.start(KEY=KEY, SALT=SALT, SECRET="operators-secret", PRESETS="thumb=rs:fit:300:200/q:70")
        (url,) = json.loads(self.signed(playground, "/pr:thumb/plain/sample://landscape").body)["paths"]
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {playground.token}"}
        question = {"path": url, "accept": "image/webp", "size": [1600, 1000]}
        reply = asked(playground.port, "/playground/explain", headers, question)
        self.assertEqual(reply.status, 200, reply.body)
        explanation = json.loads(reply.body)
        self.assertEqual((explanation["signature"]["valid"], explanation["error"]), (True, None))
        self.assertEqual(explanation["sizes"]["source"], [1600, 1000])
        self.assertEqual(decode(asked(playground.port, url, headers).body).size, tuple(explanation["sizes"]["result"]))
        self.assertIn("preset thumb", {one["from"] for one in explanation["options"]})
        for secret in (*SECRETS, playground.token):
            self.assertNotIn(secret, reply.body.decode())
        for path in ("/x/pr:none/plain/sample://logo", "/" + "%ff" * 50, "/unsafe/w:-1/plain/", "/a"):
            reply = asked(playground.port, "/playground/explain", headers, {"path": path})
            self.assertEqual(reply.status, 200, reply.body)
            self.assertTrue(json.loads(reply.body)["error"], path)
        for wrong in (
            {},
            {"path": ""},
            {"path": "/a", "size": [0, 1]},
            {"path": "/a", "size": [1 << 30, 1]},
            {"path": "a"},
        ):
            self.assertEqual(asked(playground.port, "/playground/explain", headers, wrong).status, 400, wrong)
        for other in ({"Authorization": "Bearer x"}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            reply = asked(playground.port, "/playground/explain", {**headers, **other}, question)
            self.assertEqual(reply.status, 403, other)

    def test_operators_bearer_is_replaced_by_the_token_and_stays_unknown(self) -> None:
        playground = self.start(KEY=KEY, SALT=SALT, SECRET="operators-secret", PURGE_SECRET="purge-secret")
        (url,) = json.loads(self.signed(playground).body)["paths"]
        bearer = {"Authorization": f"Bearer {playground.token}"}
        self.assertEqual(asked(playground.port, url).status, 403)
        self.assertEqual(asked(playground.port, url, {"Authorization": "Bearer operators-secret"}).status, 403)
        self.assertEqual(asked(playground.port, url, bearer).status, 200)
        page = asked(playground.port, "/").body.decode()
        self.assertIn('"needsToken": true', page)
        for secret in SECRETS:
            self.assertNotIn(secret, page)

    def test_caches_queue_and_clients_of_the_operator_are_left_alone(self) -> None:
        (self.directory / "photos").mkdir()
        (self.directory / "photos" / "a b.png").write_bytes(encode(gradient(60, 40), "PNG"))
        playground = self.start(
            *("--try", str(self.directory / "photos")),
            KEY=KEY,
            SALT=SALT,
            CACHE_TYPE="hybrid",
            CACHE_DISK_PATH=str(self.directory / "cache"),
            QUEUE_PATH=str(self.directory / "queue"),
            ALLOWED_CLIENTS="192.0.2.0/24",
            ALLOWED_SOURCES="https://example.com/",
            PATH_PREFIX="/img",
            BIND="0.0.0.0:1",
            ACCESS_LOG="json",
        )
        source = "local:///a%20b.png"
        self.assertIn('"source": "local:///a b.png"', asked(playground.port, "/").body.decode())
        (url,) = json.loads(self.signed(playground, f"/w:30/plain/{source}").body)["paths"]
        self.assertEqual(decode(asked(playground.port, url).body).size, (30, 20))
        self.assertIn("HIT memory", asked(playground.port, url).headers["cache-status"])
        (url,) = json.loads(self.signed(playground, "/plain/https://example.net/a.png").body)["paths"]
        self.assertEqual(asked(playground.port, url).status, 404)
        self.assertIn(b"not among those that this server allows", asked(playground.port, url).body)
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["photos"])
        self.assertEqual(playground.stop(), 0)

    def test_without_keys_it_is_the_page_of_a_server_that_is_tried_out(self) -> None:
        playground = self.start()
        self.assertEqual(asked(playground.port, f"/unsafe{PATH}").status, 200)
        self.assertIn(b'"signs": false', asked(playground.port, "/").body)
        self.assertEqual(self.signed(playground).status, 405)  # that path is an image's

    def test_mistakes_end_the_command_with_a_line_each(self) -> None:
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, named in (
            (("--port", port), f"port {port} is in use"),
            (("--try", str(self.directory / "nowhere")), "nowhere: no readable directory: it does not exist"),
            (("--try", __file__), f"{__file__}: no readable directory: it is a file"),
            (("--config", str(self.directory / "none.toml")), "none.toml"),
        ):
            ended = imgforge("playground", *arguments, IMGFORGE_KEY=KEY, IMGFORGE_SALT=SALT)
            self.assertEqual(ended.returncode, 1)
            self.assertIn(named, ended.stderr)


class NormalServerTests(ServiceCase):
    def test_normal_server_signs_for_nobody(self) -> None:
        for settings in ({"KEY": KEY, "SALT": SALT}, {}):
            running: Twistd = self.server(PROCESSES="1", **settings).start()
            headers: dict[str, Any] = {"Content-Type": "application/json"}
            reply = running.get("/playground/sign", headers, "POST", json.dumps({"paths": [PATH]}).encode())
            self.assertEqual(reply.status, 405)
            question = json.dumps({"path": f"/unsafe{PATH}"}).encode()
            reply = running.get("/playground/explain", headers, "POST", question)
            self.assertEqual(reply.status, 405 if settings else 200)
            self.assertEqual(b'id="settings"' in running.get("/").body, not settings)
