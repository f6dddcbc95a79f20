"""`imgforge explain`: JSON and text, sizes of files, fetched originals, and what a server has cached."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge
from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd

OPEN = {"IMGFORGE_ALLOW_UNSIGNED": "true"}


def explained(*arguments: str, **environment: str) -> dict[str, Any]:
    outcome = imgforge("explain", *arguments, **(environment or OPEN))
    assert outcome.returncode == 0, outcome.stderr
    result: dict[str, Any] = json.loads(outcome.stdout)
    return result


class ExplainCommandTests(SynchronousTestCase):
    URL = "https://cdn.example/unsafe/w:400/plain/http://x/a.jpg"

    def test_output_is_json_unless_a_terminal_reads_it(self) -> None:
        result = explained(self.URL, "--size", "800x600")
        self.assertEqual((result["source"], result["sizes"]["result"]), ("http://x/a.jpg", [400, 300]))
        text = imgforge("explain", self.URL, "--size", "800x600", "--text", **OPEN).stdout
        for line in ("signature  good", "source     http://x/a.jpg", "800x600", "-> 400x300", "cache key  result"):
            self.assertIn(line, text)

    def test_text_escapes_what_a_terminal_would_obey(self) -> None:
        text = imgforge("explain", "/unsafe/w:\x1b[31m/plain/x", "--text", **OPEN).stdout
        self.assertNotIn("\x1b", text)
        self.assertIn("refused", text)

    def test_path_without_a_signature_is_explained_as_one_to_sign(self) -> None:
        result = explained("/w:400/plain/http://x/a.jpg", IMGFORGE_KEY="aa", IMGFORGE_SALT="bb")
        self.assertEqual(result["signature"]["mistakes"], ["the signature is missing: the path begins with an option"])
        self.assertEqual(result["source"], "http://x/a.jpg")

    def test_accept_and_client_headers_decide(self) -> None:
        variables = {**OPEN, "IMGFORGE_AUTO_WEBP": "1", "IMGFORGE_ENABLE_CLIENT_HINTS": "1"}
        self.assertEqual(explained(self.URL, **variables)["format"]["chosen"], "webp")
        self.assertEqual(explained(self.URL, "--accept", "image/*", **variables)["format"]["chosen"], "jpeg")
        hinted = explained(self.URL, "-H", "DPR: 2", **variables)["options"]
        self.assertIn(("dpr", 2.0, "client hint"), [(one["name"], one["value"], one["from"]) for one in hinted])

    def test_source_file_gives_the_sizes(self) -> None:
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            Path(file.name).write_bytes(encode(gradient(80, 60), "PNG"))
            result = explained(self.URL, "--source-file", file.name)
        self.assertEqual((result["sizes"]["source"], result["format"]["chosen"]), ([80, 60], "png"))

    def test_misuse_is_told(self) -> None:
        for arguments in (
            ("--size", "80"),
            ("--size", "8x6", "--fetch"),
            ("-H", "no colon"),
            ("--accept", "a/b", "-H", "accept: c/d"),
        ):
            self.assertEqual(imgforge("explain", self.URL, *arguments, **OPEN).returncode, 2)


class RunningServerTests(SynchronousTestCase):
    """The keys are the server's, and asking for the cached state makes it do nothing."""

    def setUp(self) -> None:
        self.origin = Origin({"/a.png": encode(gradient(80, 60), "PNG")})
        self.addCleanup(self.origin.close)
        self.server = Twistd(
            {
                "PROCESSES": "1",
                "CACHE_TYPE": "hybrid",
                "CACHE_TTL": "600",
                "ALLOW_UNSIGNED": "true",
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                "AUTO_WEBP": "true",
                "SECRET": "tok3n",
            }
        )
        self.addCleanup(self.server.clean)
        directory = os.path.join(self.server.scratch.name, "cache")
        self.server.settings = {**self.server.settings, "CACHE_DISK_PATH": directory}
        self.server.start()
        self.base = f"http://127.0.0.1:{self.server.port}"
        self.variables = {f"IMGFORGE_{name}": value for name, value in self.server.settings.items()}

    def test_cached_state_is_told_without_any_work(self) -> None:
        path = f"/unsafe/w:40/plain/{self.origin.url('/a.png')}"
        accept = "image/webp"
        asked = ("--accept", accept, "--base-url", self.base)
        self.assertEqual(explained(path, *asked, **self.variables)["server"]["cached"], False)
        self.assertEqual(self.origin.requests, [])
        answer = self.server.get(path, {"Accept": accept, "Authorization": "Bearer tok3n"})
        self.assertEqual(answer.status, 200)
        result = explained(path, *asked, **self.variables)
        server = result["server"]
        self.assertEqual((server["cached"], server["state"], server["tier"]), (True, "fresh", "memory"))
        self.assertEqual(server["key"], result["cache"]["result"])
        self.assertEqual((server["bytes"], server["etag"]), (len(answer.body), answer.headers["etag"]))
        self.assertIn("T", server["fresh_until"])
        self.assertEqual(
            explained(path, "-B", self.base, "--accept", "image/png", **self.variables)["server"]["cached"], False
        )
        self.assertEqual(len(self.origin.requests), 1)
        fetched = explained(path, "--fetch", **self.variables)
        self.assertEqual(fetched["sizes"], {"source": [80, 60], "result": [40, 30]})
        self.assertEqual(len(self.origin.requests), 2)

    def test_an_entry_without_a_time_to_live_is_fresh_for_ever(self) -> None:
        self.server.stop()
        self.server.settings = {**self.server.settings, "CACHE_TTL": "0"}
        self.server.start()
        path = f"/unsafe/w:40/plain/{self.origin.url('/a.png')}"
        self.server.get(path, {"Accept": "image/png", "Authorization": "Bearer tok3n"})
        base = f"http://127.0.0.1:{self.server.port}"
        variables = {**self.variables, "IMGFORGE_CACHE_TTL": "0"}
        shown = imgforge("explain", path, "--accept", "image/png", "-B", base, "--text", **variables).stdout
        self.assertRegex(shown, "server     has it cached in [a-z]+: fresh for ever, as it has no ttl\n")
        self.assertRegex(shown, "IMGFORGE_CACHE_TTL +0.0 +seconds for which a cached result is fresh; 0: for ever\n")

    def test_original_is_fetched_with_the_headers_that_the_settings_pass_on(self) -> None:
        variables = {
            **self.variables,
            "IMGFORGE_REQUEST_HEADERS_PASSTHROUGH": "x-tenant",
            "IMGFORGE_COOKIE_PASSTHROUGH": "true",
            "IMGFORGE_USER_AGENT": "forge/9",
            "IMGFORGE_CUSTOM_REQUEST_HEADERS": "X-Key=op3rators",
            "IMGFORGE_OPEN_TELEMETRY_ENABLE": "true",
            "IMGFORGE_OPEN_TELEMETRY_PROPAGATE_EXTERNAL": "true",
        }
        parent = f"00-{'1' * 32}-{'2' * 16}-01"
        path = f"/unsafe/w:40/plain/{self.origin.url('/a.png')}?sig=s3cret"
        lines = ("X-Tenant: t3nant", "Cookie: a=c00kie", "Cookie: b=2", f"traceparent: {parent}", "X-Other: 0ther")
        sent = [argument for line in lines for argument in ("-H", line)]
        for url, cookie in ((f"http://127.0.0.1:1{path}", "a=c00kie; b=2"), (f"https://cdn.example{path}", None)):
            for form in ("--json", "--text"):
                shown = imgforge("explain", url, "--fetch", form, *sent, **variables)
                self.assertEqual(shown.returncode, 0, shown.stderr)
                for secret in ("t3nant", "c00kie", "0ther", "op3rators", "s3cret", "tok3n"):
                    self.assertNotIn(secret, shown.stdout + shown.stderr)
                _, headers = self.origin.requests[-1]
                names = ("x-tenant", "cookie", "user-agent", "x-key", "traceparent", "x-other")
                got = tuple(headers.get(name) for name in names)
                self.assertEqual(got, ("t3nant", cookie, "forge/9", "op3rators", parent, None))
                self.assertIn("traceparent", shown.stdout)
        off = explained(f"http://127.0.0.1:1{path}", "--fetch", *sent, **self.variables)
        self.assertEqual(off["fetched"]["passed"], [])
        self.assertFalse({"x-tenant", "cookie", "traceparent"} & set(self.origin.requests[-1][1]))
        for form in ("--json", "--text"):
            refused = imgforge("explain", path.replace("a.png", "missing.png"), "--fetch", form, *sent, **variables)
            self.assertEqual(refused.returncode, 0, refused.stderr)
            self.assertIn("the origin answered 404", refused.stdout)
            for secret in ("s3cret", "t3nant", "c00kie", "op3rators"):
                self.assertNotIn(secret, refused.stdout + refused.stderr)

    def test_an_original_that_cannot_be_fetched_is_an_error_of_the_whole_explanation(self) -> None:
        url = self.origin.url("/none.png")
        result = explained(f"/unsafe/w:40/plain/{url}", "--fetch", **self.variables)
        self.assertEqual((result["error"], result["source"]), ("the origin answered 404", url))
        self.assertEqual(
            (result["errors"][0]["status"], result["errors"][0]["see"]), (404, "docs/errors.md#origin-status")
        )
        self.assertEqual(result["fetched"], {"bytes": 0, "passed": [], "error": "the origin answered 404"})
        self.assertIn({"name": "width", "value": 40, "from": "URL", "setting": None, "pipeline": 1}, result["options"])
        shown = imgforge(
            "explain", "/unsafe/w:40/plain/http://127.0.0.1:1/a.png", "--fetch", "--text", **self.variables
        )
        self.assertIn("refused    502: the origin cannot be reached or breaks HTTP\n", shown.stdout)
        self.assertRegex(
            shown.stdout, "\nfetched    the origin cannot be reached or breaks HTTP [(]connection refused.*[)]\n"
        )
        self.assertIn("\noptions    width", shown.stdout)
        wrong = explained("/unsafe/wdith:40/plain/http://127.0.0.1:1/a.png", "--fetch", **self.variables)
        self.assertEqual(len(wrong["errors"]), 1)

    def test_another_key_of_the_server_is_told(self) -> None:
        path = f"/unsafe/w:40/plain/{self.origin.url('/a.png')}"
        self.server.get(path, {"Accept": "image/webp", "Authorization": "Bearer tok3n"})
        asked = ("--accept", "image/webp", "--base-url", self.base)
        self.assertNotIn("note", explained(path, *asked, **self.variables)["server"])
        other = explained(path, *asked, **{**self.variables, "IMGFORGE_QUALITY": "33"})
        self.assertIn("its key differs", other["server"]["note"])

    def test_only_if_cached_makes_nothing(self) -> None:
        authorized = {"Authorization": "Bearer tok3n"}
        asked = {**authorized, "Cache-Control": "max-age=0, only-if-cached"}
        source = self.origin.url("/a.png")
        for path in (f"/unsafe/w:40/plain/{source}", f"/info/unsafe/plain/{source}"):
            missing = self.server.get(path, asked)
            self.assertEqual((missing.status, missing.body), (504, b"the result is not in the cache\n"))
            self.assertEqual(len(self.origin.requests), 0)
            for _ in range(2):  # the second by the fast lane
                self.assertEqual(self.server.get(path, authorized).status, 200)
            found = self.server.get(path, asked)
            self.assertRegex(found.headers["cache-status"], r'^imgforge; hit; detail="HIT memory"; ttl=(600|5\d\d)$')
            self.origin.requests.clear()

    def test_the_time_to_live_goes_to_those_who_ask_for_it_only(self) -> None:
        """The fast lane repeats what twisted.web has sent, whoever asks next."""
        authorized = {"Authorization": "Bearer tok3n"}
        path = f"/unsafe/w:41/plain/{self.origin.url('/a.png')}"
        self.assertEqual(self.server.get(path, authorized).status, 200)
        asked = self.server.get(path, {**authorized, "Cache-Control": "only-if-cached"})
        self.assertIn("ttl=", asked.headers["cache-status"])
        for _ in range(3):
            self.assertEqual(
                self.server.get(path, authorized).headers["cache-status"], 'imgforge; hit; detail="HIT memory"'
            )

    def test_refused_and_unreachable_servers_are_told(self) -> None:
        variables = {**self.variables, "IMGFORGE_SECRET": "wrong"}
        server = explained("/unsafe/plain/http://x/a.png", "-B", self.base, **variables)["server"]
        self.assertEqual((server["cached"], server["status"]), (None, 403))
        self.assertIn("bearer token (set IMGFORGE_SECRET", server["error"])
        self.server.stop()
        server = explained("/unsafe/plain/http://x/a.png", "-B", self.base, **self.variables)["server"]
        self.assertIn("no answer", server["error"])
