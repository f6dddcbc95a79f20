"""Settings as an operator brings them along from imgproxy, on the real server."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import tempfile
import time
from functools import partial
from pathlib import Path
from threading import Thread
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from imgforge import testing
from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Origin, Twistd, wait_for


class SettingsCase(SynchronousTestCase):
    def server(self, *arguments: str, **settings: str) -> Twistd:
        server = Twistd({"PROCESSES": "1", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"} | settings, arguments)
        self.addCleanup(server.clean)
        return server

    def origin(self, **headers: str) -> Origin:
        origin = Origin(
            {"/a.png": encode(gradient(40, 30), "PNG")}, {n.replace("_", "-"): v for n, v in headers.items()}
        )
        self.addCleanup(origin.close)
        return origin


class MigrationTests(SettingsCase):
    def test_settings_without_effect_are_warned_of(self) -> None:
        running = self.server(FREE_MEMORY_INTERVAL="10", PPROF_BIND="", OBJECT_DETECTION_CONFIG="eu").start()
        (line,) = [line for line in running.output().splitlines() if "without effect" in line]
        self.assertIn("warn", line)
        self.assertIn("IMGFORGE_FREE_MEMORY_INTERVAL (", line)
        self.assertIn("IMGFORGE_OBJECT_DETECTION_CONFIG (", line)

    def test_an_unknown_option_is_told_without_the_options_of_twistd(self) -> None:
        for option, told in (("--port", "; the port is set by --bind"), ("--prot", "\n")):
            refused = self.server()
            refused.arguments = (option, "3000")
            refused.launch()
            wait_for(partial(getattr, refused, "ended"), "the end")
            self.assertEqual(refused.stop(), 1)
            self.assertIn(f"imgforge: option {option} not recognized{told}", refused.output())
            self.assertNotIn("--rundir", refused.output())

    def test_settings_of_missing_features_end_the_start(self) -> None:
        refused = self.server(OBJECT_DETECTION_NET="/net", ENABLE_VIDEO_THUMBNAILS="true")
        refused.launch()
        wait_for(lambda: refused.ended, "the end")
        self.assertEqual(refused.stop(), 1)
        self.assertEqual(
            [line.partition(" is not supported")[0] for line in refused.output().splitlines()],
            [
                "imgforge: IMGFORGE_OBJECT_DETECTION_NET in the environment",
                "imgforge: IMGFORGE_ENABLE_VIDEO_THUMBNAILS in the environment",
            ],
        )

    def test_variables_with_imgproxys_prefix_are_warned_of(self) -> None:
        running = self.server()
        running.environment = {"IMGPROXY_QUALITY": "33", "IMGPROXY_TTL": "5"}
        running.start()
        warning = "IMGPROXY_QUALITY, IMGPROXY_TTL: not read; rename the prefix IMGPROXY_ to IMGFORGE_"
        running.assert_logged(warning)


class AnswerTests(SettingsCase):
    def test_last_modified_is_at_least_the_buster(self) -> None:
        origin = self.origin(Last_Modified="Wed, 01 Jan 2020 00:00:00 GMT")
        running = self.server(LAST_MODIFIED_BUSTER="2024-02-29T12:00:00+02:00").start()
        path = f"/unsafe/w:8/plain/{origin.url('/a.png')}"
        buster = "Thu, 29 Feb 2024 10:00:00 GMT"
        self.assertEqual(running.get(path).headers["last-modified"], buster)
        for since, status in (("Wed, 01 Jan 2020 00:00:00 GMT", 200), (buster, 304)):
            self.assertEqual(running.get(path, {"If-Modified-Since": since}).status, status, since)
        origin.headers["Last-Modified"] = "Wed, 01 Jan 2025 00:00:00 GMT"
        self.assertEqual(running.get(path).headers["last-modified"], "Wed, 01 Jan 2025 00:00:00 GMT")

    def test_etag_buster_may_hold_every_etag_character(self) -> None:
        origin = self.origin()
        running = self.server(ETAG_BUSTER="v2/(2026),").start()
        path = f"/unsafe/w:8/plain/{origin.url('/a.png')}"
        etag = running.get(path).headers["etag"]
        self.assertTrue(etag.startswith('"v2/(2026),'), etag)
        self.assertEqual(running.get(path, {"If-None-Match": f'"x", {etag}'}).status, 304)

    def test_health_check_has_its_message_and_path(self) -> None:
        running = self.server(HEALTH_CHECK_MESSAGE="Läuft", HEALTH_CHECK_PATH="/ok").start()
        for path in ("/status", "/health", "/ok"):
            self.assertEqual(running.get(path).body.decode(), "Läuft\n")

    def test_metrics_have_a_namespace(self) -> None:
        for processes in ("1", "2"):
            running = self.server(PROMETHEUS_NAMESPACE="shop", PROCESSES=processes).start()
            wait_for(lambda running=running: b"\nshop_status_codes_total{" in running.get("/metrics").body, "an answer")  # type: ignore[misc]
            lines = running.get("/metrics").body.decode().splitlines()
            self.assertEqual([line for line in lines if line[0] != "#" and not line.startswith("shop_")], [])


class ConnectionTests(SettingsCase):
    def test_each_response_closes_its_connection_without_keep_alive(self) -> None:
        origin = self.origin()
        running = self.server(KEEP_ALIVE_TIMEOUT="0", CACHE_TYPE="memory").start()
        path = f"/unsafe/w:8/plain/{origin.url('/a.png')}"
        for _ in range(3):  # rendered, from the cache, and again, where the fast lane would have answered
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)
            self.addCleanup(connection.close)
            connection.request("GET", path)
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.getheader("Connection")), (200, "close"))
            answer.read()
            self.assertIsNone(connection.sock)

    def test_client_that_stops_reading_is_disconnected(self) -> None:
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        length = 64 << 20
        with open(f"{root.name}/large.png", "wb") as file:
            file.truncate(length)
        running = self.server(LOCAL_FILESYSTEM_ROOT=root.name, WRITE_RESPONSE_TIMEOUT="1", ACCESS_LOG="common").start()
        client = socket.create_connection(("127.0.0.1", running.port), DEADLINE)
        self.addCleanup(client.close)
        client.sendall(b"GET /unsafe/raw:1/plain/local:///large.png HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: '" 499 ' in running.output(), "the line of a client that is gone")
        read = 0
        with contextlib.suppress(ConnectionError):
            while got := client.recv(1 << 20):
                read += len(got)
        self.assertLess(read, length)

    def test_two_servers_share_a_port_with_so_reuseport(self) -> None:
        first = self.server(SO_REUSEPORT="true").start()
        second = self.server(SO_REUSEPORT="true")
        second.port = first.port
        second.launch()
        wait_for(lambda: second.ended or "listening on" in second.output(), "the second server")
        self.assertFalse(second.ended, second.output())
        self.assertEqual((first.stop(), second.answers()), (0, True))

    def test_port_without_so_reuseport_is_in_use(self) -> None:
        first = self.server(SO_REUSEPORT="true").start()
        second = self.server()
        second.port = first.port
        second.launch()
        wait_for(lambda: second.ended, "the end of the second server")
        holder = first.process.pid if first.process is not None else 0
        second.assert_logged(f"port {first.port} is in use by pid {holder} (twistd)")


class SourceTests(SettingsCase):
    def test_separator_splits_a_query_from_a_local_name(self) -> None:
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        for name in ("a.png", "b?v.png", "c;v.png"):
            Path(root.name, name).write_bytes(encode(gradient(40, 30), "PNG"))
        for separator, found in (
            ("?", {"a.png%3Fx": 200, "b%3Fv.png": 404, "c;v.png": 200}),
            (";", {"a.png%3Fx": 404, "b%3Fv.png": 200, "c;v.png": 404}),
        ):
            running = self.server(LOCAL_FILESYSTEM_ROOT=root.name, SOURCE_URL_QUERY_SEPARATOR=separator).start()
            got = {name: running.get(f"/unsafe/w:8/plain/local:///{name}@png").status for name in found}
            self.assertEqual(got, found, separator)


class ProxyTests(SettingsCase):
    def test_origins_are_asked_through_the_proxy_of_the_environment(self) -> None:
        with testing.Origin() as proxy:
            url = "http://origin.test/a.png"
            proxy.answers[url] = testing.response(encode(gradient(40, 30), "PNG"))
            running = self.server()
            running.environment = {"http_proxy": f"http://user:secret@127.0.0.1:{proxy.port}", "NO_PROXY": "other.test"}
            running.start()
            reply = running.get(f"/unsafe/w:20/plain/{url}@png")
            self.assertEqual((reply.status, decode(reply.body).width), (200, 20))
            ((target, head),) = proxy.requests
            self.assertEqual(target, url)
            self.assertIn("Proxy-Authorization: Basic ", head)
        self.assertNotIn("secret", running.output())

    def test_a_proxy_of_another_kind_ends_the_start(self) -> None:
        refused = self.server()
        refused.environment = {"HTTPS_PROXY": "socks5://user:secret@proxy.test"}
        refused.launch()
        wait_for(lambda: refused.ended, "the end")
        self.assertEqual(refused.stop(), 1)
        refused.assert_logged("imgforge: HTTPS_PROXY must be http://host:port")
        self.assertNotIn("secret", refused.output())


class LogTests(SettingsCase):
    def test_log_formats_of_imgproxy(self) -> None:
        for form, begins in (
            ("pretty", r"\d{4}-\d\d-\d\dT\S+Z warn  imgforge"),
            ("structured", r'time="\S+Z" level="WARNING" namespace="imgforge\.\w+" message="'),
            ("gcp", r'\{"time": "\S+Z", "severity": "WARNING", "namespace": "imgforge\.\w+", "message": "'),
        ):
            running = self.server(LOG_FORMAT=form).start()
            wait_for(partial(self.is_logged, running, f"(?m)^{begins}"), form)

    def is_logged(self, server: Twistd, line: str) -> bool:
        return re.search(line, server.output()) is not None


class CustomHeaderTests(SettingsCase):
    def test_responses_carry_the_custom_headers(self) -> None:
        origin = self.origin()
        settings = {"CUSTOM_RESPONSE_HEADERS": r"Timing-Allow-Origin=*\;X-Robots-Tag=noindex; nofollow"}
        running = self.server(CACHE_TYPE="memory", **settings).start()
        path = f"/unsafe/w:8/plain/{origin.url('/a.png')}"
        for asked in (path, path, path, "/unsafe/nonsense:1/plain/x", "/status"):
            headers = running.get(asked).headers
            self.assertEqual((headers["timing-allow-origin"], headers["x-robots-tag"]), ("*", "noindex; nofollow"))

    def test_custom_headers_go_to_origins_but_not_to_redirect_targets(self) -> None:
        origin, other = self.origin(), self.origin()
        settings = {"CUSTOM_REQUEST_HEADERS": "X-Token=hush||Accept=image/png", "CUSTOM_HEADERS_SEPARATOR": "||"}
        running = self.server(**settings).start()
        for options in ("w:8", "raw:1"):
            running.get(f"/unsafe/{options}/plain/{origin.url('/a.png')}")
            seen = origin.requests[-1][1]
            self.assertEqual((seen["x-token"], seen["accept"]), ("hush", "image/png"))
        origin.status, origin.headers = 302, {"Location": other.url("/a.png")}
        self.assertEqual(running.get(f"/unsafe/w:9/plain/{origin.url('/a.png')}").status, 200)
        self.assertIn("x-token", origin.requests[-1][1])
        self.assertNotIn("x-token", other.requests[-1][1])


class PassthroughTests(SettingsCase):
    """An origin that serves each client an image of its own, and 404 to unknown clients."""

    WIDTHS: ClassVar[dict[str, int]] = {"who=ann": 10, "who=bob": 20}

    def setUp(self) -> None:
        self.private = self.origin()
        self.private.files = {name: encode(gradient(width, 10), "PNG") for name, width in self.WIDTHS.items()}
        self.private.choose = lambda _, headers: headers.get("cookie") or headers.get("x-who", "")
        self.path = f"/unsafe/q:80/plain/{self.private.url('/me.png')}"

    def seen(self, server: Twistd, header: str, *, path: str = "") -> list[int]:
        """The widths of the images that several clients get, 0 for an error."""
        widths = []
        for client in ("who=ann", "who=bob", "", "who=ann", "who=bob", "who=eve", ""):
            reply = server.get(path or self.path, {header: client} if client else {})
            widths.append(decode(reply.body).size[0] if reply.status == 200 else 0)
        return widths

    def test_no_cache_serves_a_result_to_a_client_with_another_cookie(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        for number, kind in enumerate(("", "memory", "disk", "hybrid")):
            for processes in ("1", "2"):
                caches = {"CACHE_TYPE": kind, "SOURCE_CACHE_TYPE": kind} if kind else {}
                path = {"CACHE_DISK_PATH": f"{directory.name}/{number}{processes}"}
                running = self.server(PROCESSES=processes, COOKIE_PASSTHROUGH="true", **caches, **path).start()
                for _ in range(2):
                    self.assertEqual(self.seen(running, "Cookie"), [10, 20, 0, 10, 20, 0, 0], (kind, processes))
                replies = [running.get(self.path, {"Cookie": "who=ann"})]
                while kind and "HIT" not in replies[-1].headers["cache-status"] and len(replies) < 50:
                    # Memory is of one process: which of them is asked is chance.
                    replies.append(running.get(self.path, {"Cookie": "who=ann"}))
                self.assertEqual({reply.headers["vary"] for reply in replies}, {"Cookie"})
                self.assertEqual("HIT" in replies[-1].headers["cache-status"], bool(kind))
                running.stop()

    def test_raw_originals_and_info_are_kept_apart_by_cookie(self) -> None:
        running = self.server(COOKIE_PASSTHROUGH="true", SOURCE_CACHE_TYPE="memory").start()
        self.assertEqual(
            self.seen(running, "Cookie", path=self.path.replace("q:80", "raw:1")), [10, 20, 0, 10, 20, 0, 0]
        )
        info = self.path.replace("/unsafe/q:80", "/info/unsafe")
        for client, width in self.WIDTHS.items():
            reply = running.get(info, {"Cookie": client})
            self.assertEqual((json.loads(reply.body)["width"], reply.headers["vary"]), (width, "Cookie"))
        self.assertEqual(running.get(info).status, 404)

    def test_requests_with_the_same_cookie_share_one_fetch(self) -> None:
        running = self.server(COOKIE_PASSTHROUGH="true", CACHE_TYPE="memory").start()
        for path in (self.path, self.path.replace("/unsafe/q:80", "/info/unsafe")):
            self.private.requests.clear()
            self.private.hold()
            bodies: list[tuple[str, bytes]] = []

            def ask(client: str, path: str = path, bodies: list[tuple[str, bytes]] = bodies) -> None:
                bodies.append((client, running.get(path, {"Cookie": client}).body))

            clients = [Thread(target=ask, args=(client,)) for client in ("who=ann", "who=ann", "who=bob")]
            for client in clients:
                client.start()
            wait_for(lambda: len(self.private.requests) == 2, "a fetch for each")
            wait_for(lambda: running.metric("requests_in_progress") == 3, "all of them at the server")
            self.private.release()
            for client in clients:
                client.join(DEADLINE)
            self.assertEqual((len(bodies), len(set(bodies)), len({body for _, body in bodies})), (3, 2, 2), path)
            self.assertEqual(len(self.private.requests), 2)

    def test_headers_are_passed_through_by_name(self) -> None:
        running = self.server(REQUEST_HEADERS_PASSTHROUGH="X-Who,User-Agent", CACHE_TYPE="memory").start()
        for _ in range(2):
            self.assertEqual(self.seen(running, "X-Who"), [10, 20, 0, 10, 20, 0, 0])
        running.get(self.path, {"X-Who": "who=ann", "User-Agent": "browser/1", "X-More": "x"})
        headers = self.private.requests[-1][1]
        self.assertEqual((headers["user-agent"], "x-more" in headers, "cookie" in headers), ("browser/1", False, False))

    def test_origins_get_no_client_headers_by_default(self) -> None:
        running = self.server(CACHE_TYPE="memory").start()
        self.assertEqual(self.seen(running, "Cookie"), [0] * 7)
        self.assertNotIn("cookie", self.private.requests[0][1])

    def test_cookies_go_to_another_host_only_where_that_is_allowed(self) -> None:
        asked = {"Host": "shop.example", "Cookie": "who=ann"}
        for settings, status in (
            ({"COOKIE_PASSTHROUGH": "true"}, 404),
            ({"COOKIE_PASSTHROUGH_ALL": "true"}, 404),
            ({"COOKIE_PASSTHROUGH": "true", "COOKIE_BASE_URL": "https://127.0.0.1/x/"}, 404),
            ({"COOKIE_PASSTHROUGH": "true", "COOKIE_BASE_URL": "https://127.0.0.1"}, 200),
            ({"COOKIE_PASSTHROUGH": "true", "COOKIE_PASSTHROUGH_ALL": "true"}, 200),
        ):
            running = self.server(ALLOW_UNSIGNED="true", **settings).start()
            self.assertEqual(running.get(self.path, asked).status, status, settings)

    def test_redirect_targets_get_no_client_headers(self) -> None:
        other = self.origin()
        self.private.status, self.private.headers = 302, {"Location": other.url("/a.png")}
        settings = {"COOKIE_PASSTHROUGH": "true", "COOKIE_PASSTHROUGH_ALL": "true"}
        running = self.server(REQUEST_HEADERS_PASSTHROUGH="Authorization", **settings).start()
        headers = {"Cookie": "who=ann", "Authorization": "Basic eA=="}
        self.assertEqual(running.get(self.path, headers).status, 200)
        names = {"cookie", "authorization"}
        self.assertEqual(names & self.private.requests[-1][1].keys(), names)
        self.assertEqual(names & other.requests[-1][1].keys(), set())


class ResponseHeadersPassthroughTests(SettingsCase):
    def test_passed_through_response_headers_are_cached_with_the_result(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        origin = self.origin(X_License="CC BY\t4.0", X_Other="1", Set_Cookie="a=1", ETag='"1"')
        path = f"/unsafe/w:8/plain/{origin.url('/a.png')}"
        caches = {"CACHE_TYPE": "hybrid", "SOURCE_CACHE_TYPE": "disk", "CACHE_DISK_PATH": directory.name}
        running = self.server(RESPONSE_HEADERS_PASSTHROUGH="X-License", **caches).start()

        def passed_headers(server: Twistd, path: str) -> list[str]:
            headers = server.get(path).headers
            return [headers.get(name, "") for name in ("x-license", "x-other", "set-cookie")]

        # Rendered, from memory, from the fast lane; from the cached original; and the raw original.
        for asked in (path, path, path, path.replace("w:8", "w:9"), path.replace("w:8", "raw:1")):
            self.assertEqual(passed_headers(running, asked), ["CC BY4.0", "", ""], asked)
        running.stop()
        self.assertEqual(
            passed_headers(self.server(RESPONSE_HEADERS_PASSTHROUGH="X-License", **caches).start(), path)[0], "CC BY4.0"
        )
        self.assertEqual(passed_headers(self.server(**caches).start(), path), ["", "", ""])

    def test_revalidation_replaces_passed_through_headers(self) -> None:
        origin = self.origin(X_License="old", X_Kept="yes", ETag='"1"')
        settings = {"RESPONSE_HEADERS_PASSTHROUGH": "X-License,X-Kept", "CACHE_TTL": "0.001", "CACHE_TYPE": "memory"}
        running = self.server(**settings).start()
        path = f"/unsafe/w:8/plain/{origin.url('/a.png')}"
        running.get(path)
        origin.headers = {"X-License": "new", "ETag": '"1"'}
        time.sleep(0.01)  # then the entry is stale
        reply = running.get(path)
        self.assertIn("revalidated", reply.headers["cache-status"])
        self.assertEqual((reply.headers["x-license"], reply.headers["x-kept"]), ("new", "yes"))


class UnlimitedTests(SettingsCase):
    def test_long_svg_is_read_with_svg_unlimited(self) -> None:
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        desc = "x" * (11 << 20)
        Path(root.name, "a.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><desc>{desc}</desc></svg>'
        )
        for allowed, status in (("false", 422), ("true", 200)):
            running = self.server(LOCAL_FILESYSTEM_ROOT=root.name, SVG_UNLIMITED=allowed).start()
            self.assertEqual(running.get("/unsafe/w:8/plain/local:///a.svg@png").status, status)
            self.assertEqual(running.stop(), 0)  # all lines are written
            self.assertEqual("IMGFORGE_SVG_UNLIMITED: " in running.output(), allowed == "true")
