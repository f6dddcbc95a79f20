"""Real servers: workers that die, reloads, shutdown, listeners, limits, logs, caches, mistakes in the configuration."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import tempfile
from functools import partial
from pathlib import Path
from threading import Event, Thread

import numpy as np
from PIL import Image

from imgforge import __version__
from tests.support.certificates import certificate
from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode, encode, gradient
from tests.support.process import ROOT, Origin, Reply, Twistd, alive, free_port, wait_for
from tests.support.service_case import ServiceCase


def in_use(port: int) -> str:
    """The error for a port that this process holds."""
    return f"port {port} is in use by pid {os.getpid()} ({Path('/proc/self/comm').read_text().strip()})"


class WorkerTests(ServiceCase):
    def setUp(self) -> None:
        self.running = self.server(PROCESSES="2", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true").start()
        wait_for(lambda: len(self.running.children()) == 2, "two workers")

    def test_killed_worker_is_replaced(self) -> None:
        first = self.running.children()
        os.kill(first[0], signal.SIGKILL)
        wait_for(lambda: set(self.running.children()) - set(first), "another worker")
        wait_for(lambda: len(self.running.children()) == 2, "two workers again")
        self.assertIn(first[1], self.running.children())
        for _ in range(10):
            self.assertEqual(self.running.get("/status").status, 200)
        # The second worker may still have been on its way when it was killed.
        line = f"worker {first[0]} (ended|could not start)"
        wait_for(lambda: re.search(line, self.running.output()), line)
        wait_for(
            lambda: b"\nworker_restarts_total 1.0\n" in self.running.get("/metrics").body, "the restart in the metrics"
        )

    def test_workers_end_when_the_supervisor_is_killed(self) -> None:
        workers = self.running.children()
        if self.running.process is not None:
            self.running.process.kill()
            self.running.process.wait()
        wait_for(lambda: not any(alive(pid) for pid in workers), "the end of the workers")

    def test_metrics_are_summed_over_all_workers(self) -> None:
        for _ in range(30):
            self.running.get("/status")

        def counted() -> float:
            lines = self.running.get("/metrics").body.decode().splitlines()
            return sum(
                float(line.split()[-1])
                for line in lines
                if line.startswith('http_requests_duration_seconds_count{method="GET",path="/status"}')
            )

        wait_for(lambda: counted() >= 30, "all requests in the metrics")

    def test_sigterm_ends_everything_with_status_0(self) -> None:
        workers = self.running.children()
        self.assertEqual(self.running.stop(), 0)
        self.assertFalse(any(alive(pid) for pid in workers))


class InterruptTests(ServiceCase):
    """Ctrl-C: the terminal sends SIGINT to the server's whole process group."""

    def interrupted(self, processes: int, first_line: str) -> str:
        """The log of a server with *processes* from the interrupt on, which is sent after *first_line*."""
        server = self.server(PROCESSES=str(processes))
        server.wrapper = ("setsid",)
        server.launch()
        wait_for(lambda: first_line in server.output(), first_line)
        before = len(server.output())
        assert server.process is not None
        os.killpg(server.process.pid, signal.SIGINT)
        wait_for(lambda: server.ended, "the end of the server")
        self.assertEqual(server.process.returncode, 0, server.output())
        return server.output()[before:]

    def test_server_ends_without_errors_and_with_status_0(self) -> None:
        for processes in (1, 2):
            for first_line in ("cache: ", "listening on "):  # before anything serves, and after
                output = self.interrupted(processes, first_line)
                for word in ("Traceback", "KeyboardInterrupt", "error", "another one starts", "cannot"):
                    self.assertNotIn(word, output)


class MetricsTests(ServiceCase):
    NAMES = """http_requests_duration_seconds image_processing_duration_seconds processed_images_total cache_hits_total
        cache_misses_total status_codes_total source_image_fetch_duration_seconds source_images_fetched_total
        image_operation_semaphore_wait_duration_seconds image_operation_blocking_queue_duration_seconds
        image_operation_execution_duration_seconds image_operation_concurrency_limit image_operations_active
        image_operations_waiting vips_memory_bytes vips_files vips_threads worker_restarts_total"""

    def test_all_metrics_are_shown_from_the_start_on_one_listener(self) -> None:
        metrics_server = self.server()
        for processes in ("1", "2"):
            for bound in ("", f"127.0.0.1:{metrics_server.port}"):
                running = self.server(PROCESSES=processes, CACHE_TYPE="memory", PROMETHEUS_BIND=bound).start()
                text = (metrics_server if bound else running).get("/metrics").body.decode()
                for name in self.NAMES.split():
                    self.assertRegex(text, rf"(?m)^{name}(_count)?[ {{]", processes)
                if bound:  # so that the public does not read them
                    elsewhere = running.get("/metrics")
                    self.assertEqual((elsewhere.status, elsewhere.headers["cache-control"]), (404, "no-store"))
                    self.assertNotIn(b"image_operations", elsewhere.body)
                self.assertEqual(running.stop(), 0)


class SandboxTests(ServiceCase):
    def test_decoding_process_can_gain_no_privileges_and_dumps_no_core(self) -> None:
        origin = self.slow_origin(0)
        for processes in ("1", "2"):
            running = self.server(PROCESSES=processes, SANDBOX="true", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true").start()
            self.assertEqual(running.get(f"/unsafe/w:8/plain/{origin.url('/a.png')}@png").status, 200)
            pids = [running.process.pid if running.process else 0]
            if processes == "2":
                wait_for(lambda running=running: len(running.children()) == 2, "two workers")  # type: ignore[misc]
                pids = running.children()
            for pid in pids:
                status, limits = Path(f"/proc/{pid}/status"), Path(f"/proc/{pid}/limits")
                # The other worker may still be starting.
                wait_for(lambda status=status: "NoNewPrivs:\t1" in status.read_text(), "no new privileges")  # type: ignore[misc]
                self.assertRegex(limits.read_text(), r"Max core file size +0 +0 ")


class HangTests(ServiceCase):
    def test_hung_worker_is_replaced(self) -> None:
        running = self.server(PROCESSES="2").start()
        # A start may take longer than a silence: both are past it when both have counted libvips' threads.
        wait_for(lambda: b"\nvips_threads 2.0\n" in running.get("/metrics").body, "two workers")
        first = running.children()
        os.kill(first[0], signal.SIGSTOP)
        wait_for(lambda: first[0] not in running.children() and len(running.children()) == 2, "another worker")
        running.assert_logged(f"worker {first[0]} missed heartbeats for")
        wait_for(lambda: b"\nworker_restarts_total 1.0\n" in running.get("/metrics").body, "the restart in the metrics")


class ReloadTests(ServiceCase):
    """SIGHUP."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.file = Path(scratch.name, "imgforge.toml")

    def started(self, processes: str, text: str) -> Twistd:
        self.file.write_text(text)
        return self.server("--config", str(self.file), PROCESSES=processes).start()

    def hang_up(self, running: Twistd, text: str) -> None:
        self.file.write_text(text)
        if running.process is not None:
            running.process.send_signal(signal.SIGHUP)

    def test_reload_replaces_workers_and_refuses_no_request(self) -> None:
        running = self.started("2", 'server_name = "old"')
        wait_for(lambda: len(running.children()) == 2, "two workers")
        before = running.children()
        seen: list[str] = []
        done = Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    seen.append(running.get("/unsafe/w:1/plain/nothing://x").headers["server"])
                except (OSError, http.client.HTTPException) as error:
                    seen.append(repr(error))

        asking = [Thread(target=ask) for _ in range(4)]
        for client in asking:
            client.start()
        self.hang_up(running, 'server_name = "new"\n')
        wait_for(lambda: "the new configuration is in use" in running.output(), "the new workers")
        count = len(seen)
        wait_for(lambda: len(seen) > count + 8, "some more answers")
        done.set()
        for client in asking:
            client.join()
        self.assertEqual(set(seen), {"old", "new"})
        self.assertEqual(set(seen[-8:]), {"new"})
        self.assertEqual((len(running.children()), set(before) & set(running.children())), (2, set()))
        self.assertEqual(running.stop(), 0)

    def test_old_worker_finishes_its_requests(self) -> None:
        origin = self.slow_origin(2)
        running = self.started("2", "allow_loopback_source_addresses = true\n")
        replies: list[Reply] = []
        client = Thread(target=lambda: replies.append(running.get(f"/unsafe/w:20/plain/{origin.url('/a.png')}@png")))
        client.start()
        wait_for(lambda: origin.requests, "the request at the origin")
        self.hang_up(running, "allow_loopback_source_addresses = false\n")
        client.join()
        self.assertEqual(replies[0].status, 200)

    def test_metrics_listener_gets_the_new_secret(self) -> None:
        metrics_server = self.server()
        bound = f'prometheus_bind = "127.0.0.1:{metrics_server.port}"\n'
        running = self.started("2", bound + 'secret = "old"\n')
        self.hang_up(running, bound + 'secret = "new"\n')
        wait_for(lambda: "the new configuration is in use" in running.output(), "the new workers")
        for secret, status in (("old", 403), ("new", 200)):
            self.assertEqual(metrics_server.get("/metrics", {"Authorization": f"Bearer {secret}"}).status, status)

    def test_reload_is_refused_after_the_code_has_changed(self) -> None:
        beside = tempfile.TemporaryDirectory()
        self.addCleanup(beside.cleanup)
        for package in ("imgforge", "twisted"):
            shutil.copytree(ROOT / package, Path(beside.name, package), ignore=shutil.ignore_patterns("__pycache__"))
        self.file.write_text("quality = 70\n")
        running = self.server("--config", str(self.file), PROCESSES="2")
        running.environment = {"PYTHONPATH": beside.name}
        running.start()
        wait_for(lambda: len(running.children()) == 2, "two workers")
        before = running.children()
        Path(beside.name, "imgforge", "errors.py").touch()
        self.hang_up(running, "quality = 71\n")
        wait_for(lambda: "the code of imgforge has changed since the start" in running.output(), "the refusal")
        self.assertEqual(running.children(), before)
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: "workers that replace others run the new code" in running.output(), "the warning")

    def test_mistakes_in_the_new_configuration_are_logged_and_the_old_one_stays(self) -> None:
        running = self.started("2", 'server_name = "old"')
        wait_for(lambda: len(running.children()) == 2, "two workers")
        before = running.children()
        self.hang_up(running, 'quality = 400\npresets = "bad=w:x"\n')
        wait_for(lambda: running.output().count("the new configuration is not used") == 2, "both mistakes")
        running.assert_logged("IMGFORGE_QUALITY=400")
        running.assert_logged("preset 'bad'")
        self.assertEqual((running.children(), running.get("/status").headers["server"]), (before, "old"))
        wait_for(lambda: running.metric("config_last_reload_successful") == 0, "the mistakes in the metrics")
        failed = running.metric("config_last_reload_timestamp_seconds") or 0.0
        self.hang_up(running, 'server_name = "new"')
        wait_for(lambda: running.metric("config_last_reload_successful") == 1, "a reload that works")
        self.assertGreater(running.metric("config_last_reload_timestamp_seconds") or 0.0, failed)

    def test_single_process_refuses_a_reload(self) -> None:
        running = self.started("1", 'server_name = "old"')
        self.hang_up(running, 'server_name = "new"')
        wait_for(lambda: "a new configuration takes effect at the next start" in running.output(), "a word")
        self.assertEqual(running.get("/status").headers["server"], "old")
        self.assertEqual(running.metric("config_last_reload_successful"), 0)


class DrainTests(ServiceCase):
    def finish_under_way(self, processes: str) -> None:
        origin = self.slow_origin(1.5)
        server = self.server(PROCESSES=processes, ALLOW_LOOPBACK_SOURCE_ADDRESSES="true").start()
        replies: list[Reply] = []
        client = Thread(target=lambda: replies.append(server.get(f"/unsafe/w:20/plain/{origin.url('/a.png')}@png")))
        client.start()
        wait_for(lambda: origin.requests, "the request at the origin")
        self.assertEqual(server.stop(), 0)
        client.join()
        self.assertEqual((replies[0].status, decode(replies[0].body).size), (200, (20, 15)))
        with self.assertRaises(OSError):
            server.get("/status")

    def test_requests_in_flight_finish_in_workers(self) -> None:
        self.finish_under_way("2")

    def test_requests_in_flight_finish_in_one_process(self) -> None:
        self.finish_under_way("1")

    def test_client_that_keeps_sending_requests_does_not_delay_the_end(self) -> None:
        running = self.server(PROCESSES="1").start()
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)
        self.addCleanup(connection.close)

        def ask() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                while True:
                    connection.request("GET", "/unsafe/rs:fit:400:400/plain/sample://landscape@png")
                    connection.getresponse().read()
                    connection.auto_open = 0  # this one connection only

        asking = Thread(target=ask, daemon=True)
        asking.start()
        wait_for(lambda: b'method="GET",path="/{*path}"' in running.get("/metrics").body, "the first image")
        self.assertEqual(running.stop(), 0)
        asking.join(DEADLINE)
        self.assertFalse(asking.is_alive())

    def test_second_signal_ends_the_server_at_once(self) -> None:
        origin = self.slow_origin(600)
        slow = {"DOWNLOAD_TIMEOUT": "600", "TIMEOUT": "600", "GRACEFUL_STOP_TIMEOUT": "600"}
        server = self.server(PROCESSES="2", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", **slow).start()
        workers = server.children()

        def ask() -> None:
            try:
                server.get(f"/unsafe/w:20/plain/{origin.url('/a.png')}@png")
            except (OSError, http.client.HTTPException):
                """The server goes away under it."""

        client = Thread(target=ask, daemon=True)
        client.start()
        wait_for(lambda: origin.requests, "the request at the origin")
        process = server.process
        if process is None:
            raise AssertionError("it runs")
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: not server.answers(), "the listeners' end")
        process.send_signal(signal.SIGTERM)
        self.assertNotEqual(process.wait(DEADLINE), 0)
        wait_for(lambda: not any(alive(pid) for pid in workers), "the end of the workers")


class StartTests(ServiceCase):
    def test_version_option_shows_the_version_of_imgforge(self) -> None:
        asked = self.server("--version")
        asked.launch()
        wait_for(lambda: asked.ended, "the version")
        self.assertEqual(asked.output(), f"imgforge {__version__}\n")

    def ended(self, server: Twistd) -> str:
        server.launch()
        wait_for(lambda: server.ended, "the end of a start that fails")
        self.assertEqual(server.process and server.process.returncode, 1)
        return server.output()

    def test_each_mistake_is_reported_in_a_line(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('workers = "many"\nquality = 400\ntimout = 3\n')
            file.flush()
            lines = self.ended(self.server("--config", file.name)).splitlines()
        self.assertEqual(len(lines), 3, lines)
        self.assertEqual(
            [sum(name in line for line in lines) for name in ("WORKERS='many'", "QUALITY=400", "timout")], [1, 1, 1]
        )
        self.assertIn("did you mean timeout", "".join(lines))

    def test_port_in_use_ends_the_start(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            output = self.ended(self.server(BIND=f"127.0.0.1:{port}"))
        self.assertEqual(output.strip(), f"imgforge: cannot listen on http://127.0.0.1:{port}: {in_use(port)}")

    def test_each_listener_that_cannot_be_opened_is_reported_in_a_line(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            where = f"127.0.0.1:{port}"
            bind = f"{where},unix:{__file__}/sock"
            output = self.ended(self.server(BIND=bind, PROMETHEUS_BIND=where, ALLOW_UNSIGNED="true", LOG_LEVEL="error"))
        self.assertEqual(
            output.splitlines(),
            [
                f"imgforge: cannot listen on http://{where}: {in_use(port)}",
                f"imgforge: cannot listen on unix:{__file__}/sock: Not a directory",
                f"imgforge: cannot listen on http://{where}: {in_use(port)}",
            ],
        )

    def test_public_address_without_a_key_ends_the_start(self) -> None:
        output = self.ended(self.server(BIND="0.0.0.0:0"))
        self.assertIn("imgforge keygen", output)
        self.assertEqual(output.count("\n"), 1)

    def test_mistakes_found_by_parts_are_reported_with_the_others(self) -> None:
        settings = {
            "QUALITY": "400",
            "PRESETS": "good=w:1,bad=w:x,worse=nothing:1",
            "INFO_PRESETS": "bad=nothing:1",
            "ALLOWED_PROCESSING_OPTIONS": "width,nothing",
            "ALLOWED_INFO_OPTIONS": "size,nothing",
            "CA_FILE": __file__,
            "WATERMARK_PATH": __file__,
            "WATERMARK_DATA": "aGVsbG8=",
            "FALLBACK_IMAGE_PATH": tempfile.gettempdir(),
            "LOCAL_FILESYSTEM_ROOT": __file__,
            "PROMETHEUS_BIND": f"ssl:0:privateKey={__file__}.none",
        }
        lines = self.ended(self.server(**settings)).splitlines()
        for name in settings:
            expected = 2 if name == "PRESETS" else 1
            self.assertEqual(sum(f"IMGFORGE_{name}" in line for line in lines), expected, (name, lines))
        self.assertEqual(len(lines), len(settings) + 1)
        self.assertTrue(all(line.startswith("imgforge: IMGFORGE_") for line in lines), lines)

    def test_command_line_overrides_the_environment_and_that_the_file(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('server_name = "from-file"\nhealth_check_path = "/from-file"\nbind = "nonsense"\n')
            file.flush()
            server = self.server("--config", file.name, SERVER_NAME="from-environment", PROCESSES="1").start()
        self.assertEqual(server.get("/from-file").headers["server"], "from-environment")


class ListenerTests(ServiceCase):
    def test_unix_socket_and_port_are_served_together(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            path = f"{scratch}/imgforge.sock"
            server = self.server(PROCESSES="2", ALLOW_UNSIGNED="true")
            server.settings = {**server.settings, "BIND": f"127.0.0.1:{server.port},unix:{path}"}
            server.start()
            for _ in range(2):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(path)
                    client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 200 "))
            self.assertEqual(server.stop(), 0)
            self.assertFalse(Path(path).exists())

    def test_workers_serve_tls(self) -> None:
        for processes in ("1", "2"):
            with tempfile.TemporaryDirectory() as scratch:
                pem = Path(scratch, "own.pem")
                pem.write_bytes(certificate("localhost"))
                server = self.server(PROCESSES=processes, HEALTH_CHECK_PATH="/ok")
                plain = f"127.0.0.1:{server.port}"
                tls = free_port()
                endpoint = f"ssl:{tls}:interface=127.0.0.1:privateKey={pem}"
                server.settings = {**server.settings, "BIND": f"{plain},{endpoint}"}
                server.start()
                context = ssl.create_default_context(cafile=str(pem))
                connection = http.client.HTTPSConnection("localhost", tls, context=context, timeout=20)
                connection.request("GET", "/ok")
                self.assertEqual(connection.getresponse().status, 200)
                connection.close()
                self.assertEqual(server.stop(), 0)

    def test_sockets_of_systemd_are_served(self) -> None:
        with socket.socket() as opened:
            opened.bind(("127.0.0.1", 0))
            opened.listen()
            server = self.server(BIND="systemd:domain=INET:name=web", ALLOW_UNSIGNED="true", PROCESSES="2")
            server.port = opened.getsockname()[1]
            server.environment = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
            server.inherited = opened.fileno()
            server.start()
            self.assertEqual(server.get("/status").status, 200)
            self.assertEqual(server.stop(), 0)

    def test_separate_metrics_listener_shows_libvips(self) -> None:
        port = free_port()
        running = self.server(PROCESSES="1", PROMETHEUS_BIND=f"127.0.0.1:{port}").start()
        running.port = port
        wait_for(lambda: b"\nvips_threads 0.0\n" not in running.get("/metrics").body, "libvips' figures")

    def test_separate_metrics_listener_serves_metrics_only(self) -> None:
        for processes in ("1", "2"):
            metrics_server = self.server()
            server = self.server(
                PROCESSES=processes, PROMETHEUS_BIND=f"127.0.0.1:{metrics_server.port}", SECRET="s"
            ).start()
            self.assertEqual(metrics_server.get("/metrics").status, 403)
            reply = metrics_server.get("/metrics", {"Authorization": "Bearer s"})
            self.assertIn(b"image_operation_concurrency_limit", reply.body)
            other = metrics_server.get("/unsafe/plain/sample://logo")
            self.assertEqual((other.status, other.body.count(b"\n")), (404, 1))
            self.assertEqual(other.headers["content-type"], "text/plain; charset=utf-8")
            self.assertEqual({one.headers["server"] for one in (reply, other)}, {"imgforge"})
            self.assertEqual(metrics_server.get("/metrics", method="POST").status, 405)
            self.assertEqual(server.stop(), 0)


class LimitTests(ServiceCase):
    def test_clients_beyond_the_limit_get_health_checks_only(self) -> None:
        server = self.server(MAX_CLIENTS="3", PROCESSES="1").start()
        connections: list[socket.socket] = []

        def have_room() -> bool:
            for connection in connections:
                connection.close()
            connections[:] = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(3)]
            for connection in connections:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return [connection.recv(12)[9:12] for connection in connections] == [b"200"] * 3

        wait_for(have_room, "three clients, once the connection that waited for the start is gone")
        self.assertEqual(server.get("/status").status, 200)
        refused = server.get("/")
        self.assertEqual((refused.status, refused.headers["retry-after"]), (503, "1"))
        for connection in connections:
            connection.close()
        wait_for(lambda: server.get("/").status == 200, "room again")
        self.assertIn(b'refusals_total{reason="clients"}', server.get("/metrics").body)

    def test_request_beyond_the_rate_gets_429_with_retry_after(self) -> None:
        server = self.server(RATE_LIMIT_PER_MINUTE="5", PROCESSES="1", ALLOWED_MIME_TYPES="image/png").start()
        replies = [server.get("/unsafe/w:1/plain/nothing://x") for _ in range(7)]
        self.assertEqual([reply.status for reply in replies], [404] * 5 + [429] * 2)
        self.assertIn(
            int(replies[-1].headers["retry-after"]), range(6, 13)
        )  # 12 less the seconds of the seven requests
        self.assertEqual(server.get("/status").status, 200)

    def test_slow_request_gets_408(self) -> None:
        server = self.server(READ_REQUEST_TIMEOUT="0.5", PROCESSES="1").start()
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
            self.assertTrue(answer.startswith(b"HTTP/1.1 408 "))


class MemoryTests(ServiceCase):
    def test_memory_of_a_burst_is_given_back(self) -> None:
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        noise = np.random.default_rng(1).integers(0, 255, (2160, 3840, 3), dtype=np.uint8)
        Path(root.name, "a.jpg").write_bytes(encode(Image.fromarray(noise), "JPEG", quality=85))
        running = self.server(PROCESSES="1", WORKERS="4", LOCAL_FILESYSTEM_ROOT=root.name).start()

        def ask(number: int) -> None:
            # What is turned has to be in memory as a whole.
            path = f"/unsafe/rs:fit:3000:3000/rot:90/cb:{number}/plain/local:///a.jpg@jpg"
            self.assertEqual(running.get(path).status, 200)

        before = running.resident()
        clients = [Thread(target=ask, args=(number,)) for number in range(1, 25)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        grown = running.most_resident() - before
        self.assertGreater(grown, 48 << 20)  # more than the 32 MiB under which nothing is given back
        wait_for(lambda: running.resident() < before + grown / 2, "half of it to come back")


class LogTests(ServiceCase):
    @staticmethod
    def logged(server: Twistd, words: str) -> bool:
        return words in server.output()

    def test_start_and_stop_are_logged_for_the_operator(self) -> None:
        unusable = f"{__file__}/cache"
        for processes, work in (
            ("1", "1 process with 3 image threads"),
            ("2", "2 processes with 2 image threads each"),
        ):
            running = self.server(PROCESSES=processes, WORKERS="3", CACHE_TYPE="disk", CACHE_DISK_PATH=unusable).start()
            # The server is ready with its first process, the line comes from another one.
            wait_for(partial(self.logged, running, work), "the line of the threads")
            self.assertEqual(running.stop(), 0)
            lines = [line.split(" ", 1)[1] for line in running.output().splitlines()]
            self.assertIn(f"info  imgforge.service {work}", lines)
            cache = f"warn  imgforge.service the cache directory {unusable} cannot be written"
            self.assertTrue(any(line.startswith(cache) for line in lines), lines)
            self.assertTrue(any(line.startswith("info  imgforge.service stopping") for line in lines), lines)
            self.assertLessEqual({line.split()[1] for line in lines}, {"imgforge.service", "imgforge.cache"})

    def test_too_few_descriptors_for_the_clients_are_warned_of(self) -> None:
        running = self.server(PROCESSES="1")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        running.settings = {**running.settings, "MAX_CLIENTS": str(hard)}
        running.start()
        running.assert_logged(f"and {hard} is the limit")
        limits = Path(f"/proc/{running.process and running.process.pid}/limits").read_text()
        self.assertIn(str(hard), next(line for line in limits.splitlines() if "open files" in line).split()[3:4])

    def test_access_log_lines_are_whole_lines(self) -> None:
        running = self.server(PROCESSES="1", ACCESS_LOG="json").start()
        wait_for(lambda: running.output().splitlines()[-1].startswith('{"time"'), "a line of its own")

    def test_json_lines_carry_the_request_id(self) -> None:
        server = self.server(LOG_FORMAT="json", LOG_LEVEL="imgforge=debug", PROCESSES="2", ACCESS_LOG="json").start()
        server.get("/unsafe/nonsense:1/plain/http://x/", {"X-Request-ID": "abc-7"})
        wait_for(lambda: server.output().count("abc-7") == 2, "the lines of both logs")
        lines = [json.loads(line) for line in server.output().splitlines()]
        mine = [line for line in lines if line.get("request_id") == "abc-7"]
        self.assertEqual({line.get("status") for line in mine}, {400})
        self.assertTrue(any("nonsense" in line.get("message", "") for line in mine))

    def test_every_line_of_a_request_carries_its_id(self) -> None:
        origin = self.slow_origin(0.1)
        broken = Origin(status=500)
        self.addCleanup(broken.close)
        port = origin.port
        running = self.server(PROCESSES="1", LOG_LEVEL="debug", LOG_FORMAT="json", TIMEOUT="2").start()
        running.get(f"/unsafe/w:5/plain/http://localhost:{port}/a.png", {"X-Request-ID": "refused"})
        self.assertEqual(running.stop(), 0)
        running.settings = {**running.settings, "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"}
        before = running.output()
        running.start()
        for identity, url in (("missing", origin.url("/b.png")), ("broken", broken.url("/a.png"))):
            running.get(f"/unsafe/w:5/plain/{url}", {"X-Request-ID": identity})
        self.assertEqual(running.stop(), 0)
        lines = [json.loads(line) for line in (before + running.output()).splitlines()]
        mine = [line for line in lines if line["namespace"] in {"imgforge.web", "imgforge.sources"}]
        self.assertEqual({line.get("request_id") for line in mine}, {"refused", "missing", "broken"})

    def test_log_file_gets_the_lines_of_workers(self) -> None:
        server = self.server(PROCESSES="2")
        path = Path(server.scratch.name, "imgforge.log")
        server.options = ("--logfile", str(path))
        server.start()
        server.get("/unsafe/nonsense:1/plain/http://x/")
        wait_for(lambda: "nonsense" in path.read_text(), "the worker's line in the file")
        wait_for(lambda: "libvips" in path.read_text(), "the line of the worker that names the formats")


class CacheTests(ServiceCase):
    def ask(self, server: Twistd, origin: Origin) -> Reply:
        return server.get(f"/unsafe/w:20/plain/{origin.url('/a.png')}@png")

    def test_entries_survive_a_restart(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            origin = self.slow_origin(0)
            settings = {
                "CACHE_TYPE": "hybrid",
                "CACHE_DISK_PATH": directory,
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                "PROCESSES": "1",
            }
            first = self.server(**settings).start()
            rendered = self.ask(first, origin)
            self.assertIn("MISS", rendered.headers["cache-status"])
            self.assertIn("HIT memory", self.ask(first, origin).headers["cache-status"])
            self.assertEqual(first.stop(), 0)
            second = self.server(**settings).start()
            again = self.ask(second, origin)
            self.assertIn("HIT disk", again.headers["cache-status"])
            self.assertEqual((again.body, again.headers["etag"]), (rendered.body, rendered.headers["etag"]))
            self.assertEqual(len(origin.requests), 1)
            self.assertEqual(second.stop(), 0)

    def test_entries_of_another_root_are_not_served(self) -> None:
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        found = []
        for width in (40, 20):
            root = tempfile.TemporaryDirectory()
            self.addCleanup(root.cleanup)
            Path(root.name, "a.png").write_bytes(encode(gradient(width, 30), "PNG"))
            running = self.server(
                PROCESSES="1", CACHE_TYPE="disk", CACHE_DISK_PATH=kept.name, LOCAL_FILESYSTEM_ROOT=root.name
            ).start()
            found.append(decode(running.get("/unsafe/plain/local:///a.png").body).size)
            running.stop()
        self.assertEqual(found, [(40, 30), (20, 30)])

    def test_expired_entry_is_rendered_again_also_behind_the_fast_lane(self) -> None:
        origin = self.slow_origin(0)
        server = self.server(
            CACHE_TYPE="memory", CACHE_TTL="1.5", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", PROCESSES="1"
        ).start()
        hits: list[bool] = []

        def rendered_again() -> bool:
            """Whether an image that was served out of the cache twice and more, was rendered then."""
            hits.append("HIT" in self.ask(server, origin).headers["cache-status"])
            return hits[-4:] == [True, True, True, False]

        wait_for(rendered_again, "the end of an entry that the fast lane has served")
        self.assertEqual(len(origin.requests), hits.count(False))

    def test_equal_requests_in_flight_share_one_fetch(self) -> None:
        origin = self.slow_origin(0)
        origin.hold()
        server = self.server(ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", PROCESSES="1").start()
        replies: list[Reply] = []
        clients = [Thread(target=lambda: replies.append(self.ask(server, origin))) for _ in range(12)]
        for client in clients:
            client.start()
        wait_for(lambda: server.metric("requests_in_progress") == 12, "all requests")
        origin.release()
        for client in clients:
            client.join()
        self.assertEqual({(reply.status, reply.body) for reply in replies}, {(200, replies[0].body)})
        self.assertEqual((len(replies), len(origin.requests)), (12, 1))

    def test_request_beyond_the_queue_gets_429_at_once_and_status_still_answers(self) -> None:
        origin = self.slow_origin(0)
        origin.hold()
        server = self.server(
            ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", PROCESSES="1", WORKERS="1", REQUESTS_QUEUE_SIZE="1"
        ).start()
        replies: list[Reply] = []
        paths = [f"/unsafe/w:{width}/plain/{origin.url('/a.png')}@png" for width in range(10, 16)]
        clients = [Thread(target=lambda path=path: replies.append(server.get(path))) for path in paths]
        for client in clients:
            client.start()
        wait_for(lambda: len(replies) == 4, "the refusals")
        self.assertEqual(server.get("/status").status, 200)
        origin.release()
        for client in clients:
            client.join()
        self.assertEqual(sorted(reply.status for reply in replies), [200, 200, 429, 429, 429, 429])
