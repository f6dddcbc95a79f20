"""The access log of a server: why a request failed, its original, and how long each stage took."""

from __future__ import annotations

import base64
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Reply, Twistd, free_port, wait_for

FIELDS = """time level client method path status bytes bytes_in duration fetch_ms wait_ms process_ms request_id
    cache source format error fallback referrer agent"""
PNG = encode(gradient(40, 30), "PNG")


class AccessLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.origin = Origin({"/a.png": PNG})
        self.addCleanup(self.origin.close)

    def server(self, **settings: str) -> Twistd:
        made = Twistd(
            {"PROCESSES": "1", "ALLOW_UNSIGNED": "true", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"}
            | {"CACHE_TYPE": "memory"}
            | settings
        )
        self.addCleanup(made.clean)
        return made.start()

    def lines(self, server: Twistd) -> list[dict[str, Any]]:
        return [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]

    def ask(self, server: Twistd, path: str, identity: str) -> tuple[Reply, dict[str, Any]]:
        """The response to *path* and its line in the JSON access log."""
        reply = server.get(path, {"X-Request-ID": identity})

        def mine() -> list[dict[str, Any]]:
            return [line for line in self.lines(server) if line.get("request_id") == identity and "duration" in line]

        wait_for(mine, f"the line of {identity}")
        (line,) = mine()
        self.assertEqual(line.keys(), set(FIELDS.split()))
        self.assertEqual((line["status"], line["path"]), (reply.status, path))
        return reply, line

    def test_each_line_has_the_outcome_and_the_stages(self) -> None:
        server = self.server(ACCESS_LOG="json", LOG_FORMAT="json", LOG_LEVEL="warn")
        source = self.origin.url("/a.png")
        encoded = base64.urlsafe_b64encode(f"{source}?token=secret".encode()).decode().rstrip("=")
        path = f"/unsafe/w:20/{encoded}.png"

        reply, made = self.ask(server, path, "made")
        self.assertEqual((made["source"], made["format"], made["error"], made["level"]), (source, "png", "", "info"))
        self.assertEqual((made["bytes_in"], made["bytes"]), (len(PNG), len(reply.body)))
        for stage in ("fetch_ms", "wait_ms", "process_ms"):
            self.assertLessEqual(made[stage], made["duration"] * 1e3)
        self.assertGreater(made["fetch_ms"] + made["process_ms"], 0)
        # The same stages under the same names, from the same record.
        timing = dict(part.strip().split(";dur=") for part in reply.headers["server-timing"].split(","))
        self.assertEqual(timing, {name: f"{made[f'{name}_ms']:.1f}" for name in ("fetch", "wait", "process")})

        for number in range(2):  # by twisted.web, then by the fast lane
            _, hit = self.ask(server, path, f"hit-{number}")
            self.assertEqual((hit["source"], hit["format"], hit["cache"][:13]), (source, "png", "imgforge; hit"))
            self.assertEqual({hit[f"{stage}_ms"] for stage in ("fetch", "wait", "process")}, {None})

        _, refused = self.ask(server, "/unsafe/nonsense:1/plain/http://x/a.png", "option")
        self.assertIn("nonsense", refused["error"])
        _, missing = self.ask(server, f"/unsafe/w:20/plain/{self.origin.url('/b.png')}%3Ftoken=secret@webp", "missing")
        self.assertEqual((missing["status"], missing["format"]), (404, "webp"))
        self.assertEqual((missing["source"], missing["error"]), (self.origin.url("/b.png"), "the origin answered 404"))
        self.assertGreater(missing["fetch_ms"], 0)
        _, line = self.ask(server, f"/info/unsafe/plain/{source}", "info")
        self.assertEqual((line["source"], line["bytes_in"]), (source, len(PNG)))
        self.assertGreater(line["process_ms"], 0)
        _, raw = self.ask(server, f"/unsafe/raw:1/plain/{source}", "raw")
        self.assertEqual((raw["bytes_in"], raw["process_ms"]), (len(PNG), None))

        secrets = [line for line in self.lines(server) if "secret" in json.dumps(line | {"path": ""})]
        self.assertEqual(secrets, [])

    def test_fallback_image_is_logged_with_the_failure_and_counted(self) -> None:
        server = self.server(
            ACCESS_LOG="json", LOG_FORMAT="json", FALLBACK_IMAGE_DATA=base64.b64encode(PNG).decode(), CACHE_TYPE=""
        )
        broken = self.origin.url("/b.png")
        reply, line = self.ask(server, f"/unsafe/w:8/plain/{broken}?token=secret@png", "fallback")
        self.assertEqual((reply.status, line["fallback"], line["source"]), (200, 404, broken))
        self.assertEqual((line["error"], line["format"]), ("the origin answered 404", "png"))
        server.assert_logged(f'"served a fallback image for {broken}: the origin answered 404"')
        self.assertEqual(server.metric('fallback_images_total{status="404"}'), 1.0)

    def test_warning_has_the_cause_of_a_failure_at_level_warn(self) -> None:
        server = self.server(LOG_LEVEL="warn", ACCESS_LOG="json", LOG_FORMAT="json")
        plain = self.origin.url("/a.png").removeprefix("http://")
        for identity, source, cause in (
            ("refused", f"http://127.0.0.1:{free_port()}/a.png?token=secret", "(connection refused: "),
            ("tls", f"https://{plain}?token=secret", "(TLS: "),
        ):
            encoded = base64.urlsafe_b64encode(source.encode()).decode().rstrip("=")
            reply, line = self.ask(server, f"/unsafe/w:8/{encoded}", identity)
            self.assertEqual((reply.status, line["level"]), (502, "warn"))

            def warned(identity: str = identity) -> list[dict[str, Any]]:
                return [one for one in self.lines(server) if one.get("request_id") == identity and "message" in one]

            wait_for(warned, f"the warning of {identity}")
            warnings = warned()
            self.assertEqual(len(warnings), 1)
            for text in (warnings[0]["message"], line["error"]):
                self.assertIn(cause, text)
                self.assertNotIn("secret", text)
            # Which cannot be read in an encoded target.
            self.assertIn(source.partition("?")[0], warnings[0]["message"])
            self.assertNotIn(b"refused", reply.body)  # clients do not see it

    def test_combined_lines_end_with_duration_cache_and_id(self) -> None:
        server = self.server(ACCESS_LOG="combined")
        path = f"/unsafe/w:20/plain/{self.origin.url('/a.png')}@png"
        for identity, state in (("first", "MISS"), ("second", "HIT memory"), ("third", "HIT memory")):
            server.get(path, {"X-Request-ID": identity, "User-Agent": "curl"})
            line = rf'(?m) "GET {path} HTTP/1.1" 200 \d+ "-" "curl" \d+\.\d{{6}} "{state}" "{identity}"$'
            wait_for(lambda line=line: self.found(server, line), f"the line of {identity}")  # type: ignore[misc]

    def found(self, server: Twistd, line: str) -> bool:
        try:
            self.assertRegex(server.output(), line)
        except self.failureException:
            return False
        return True
