"""The end of a real server: by one signal, by signals to all processes, by a second one, by SIGKILL."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import tempfile
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, alive, wait_for


class StoppingCase(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.socket = self.scratch / "imgforge.sock"
        self.statuses: list[int] = []

    def server(self, processes: int = 2, **settings: str) -> Twistd:
        """A server of two processes on a port and a unix socket, with a directory for temporary files of its own."""
        server = Twistd(
            {
                "ALLOW_UNSIGNED": "true",
                "PROCESSES": str(processes),
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                **settings,
            }
        )
        server.settings = {**server.settings, "BIND": f"127.0.0.1:{server.port},unix:{self.socket}:mode=600"}
        server.environment = {"TMPDIR": str(self.scratch), "RUNTIME_DIRECTORY": str(self.scratch)}
        self.addCleanup(server.clean)
        server.start()
        if processes > 1:
            wait_for(lambda: len(server.children()) == processes, "the workers")
        return server

    def slow_request(self, server: Twistd, delay: float) -> Thread:
        """A request whose origin takes *delay* seconds; its status comes to `statuses`."""
        origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")}, delay=delay)
        self.addCleanup(origin.close)

        def ask() -> None:
            try:
                self.statuses.append(server.get(f"/unsafe/w:20/plain/{origin.url('/a.png')}@png").status)
            except (OSError, http.client.HTTPException):
                self.statuses.append(0)

        client = Thread(target=ask, daemon=True)
        client.start()
        wait_for(lambda: origin.requests, "the request at the origin")
        return client

    def send(self, server: Twistd, number: int) -> None:
        if server.process is not None:
            server.process.send_signal(number)

    def left(self) -> list[str]:
        """The names of the temporary files that exist."""
        return sorted(os.listdir(self.scratch))


class SignalToAllProcessesTests(StoppingCase):
    """Ctrl-C reaches all processes of a terminal, systemd's SIGTERM all processes of a service."""

    def finish_under_way(self, number: int) -> None:
        server = self.server()
        client = self.slow_request(server, 1.0)
        for pid in server.children():
            os.kill(pid, number)
        self.send(server, number)
        client.join()
        wait_for(lambda: server.ended, "the server's end")
        self.assertEqual((self.statuses, server.process and server.process.returncode), ([200], 0))
        self.assertEqual(self.left(), [])

    def test_requests_finish_after_ctrl_c(self) -> None:
        self.finish_under_way(signal.SIGINT)

    def test_requests_finish_after_sigterm_to_the_whole_service(self) -> None:
        self.finish_under_way(signal.SIGTERM)


class GraceTests(StoppingCase):
    """The end does not wait for requests that take longer than the grace."""

    def end(self, processes: int, path: str = "") -> None:
        server = self.server(processes, GRACEFUL_STOP_TIMEOUT="0.3", DOWNLOAD_TIMEOUT="600", TIMEOUT="600")
        client = self.slow_request(server, 300)
        self.assertEqual((server.stop(), self.left()), (0, []))
        client.join(20)
        self.assertEqual(self.statuses, [0])
        server.assert_logged("shutdown timed out after 0.3 s: 1 request aborted")

    def test_request_beyond_the_grace_is_aborted_by_one_process(self) -> None:
        self.end(1)

    def test_request_beyond_the_grace_is_aborted_by_workers(self) -> None:
        self.end(2)

    def test_encoder_that_cannot_be_cancelled_does_not_delay_the_end(self) -> None:
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        Path(root.name, "a.png").write_bytes(encode(gradient(40, 30), "PNG"))
        server = self.server(
            1, GRACEFUL_STOP_TIMEOUT="0.3", TIMEOUT="600", AVIF_SPEED="0", LOCAL_FILESYSTEM_ROOT=root.name
        )

        def ask() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                server.get("/unsafe/rs:force:4000:4000:1/plain/local:///a.png@avif")

        client = Thread(target=ask, daemon=True)
        client.start()
        wait_for(lambda: self.processor_seconds(server) > 5, "the encoder: all before it takes a second")
        self.assertEqual((server.stop(), self.left()), (0, []))
        client.join(20)
        server.assert_logged("ending it now, with threads or workers still busy")

    def processor_seconds(self, server: Twistd) -> float:
        pid = server.process.pid if server.process is not None else 0
        user = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]
        return int(user) / os.sysconf("SC_CLK_TCK")


class AtOnceTests(StoppingCase):
    def test_workers_end_with_a_killed_supervisor(self) -> None:
        server = self.server()
        self.slow_request(server, 30)
        workers = server.children()
        self.send(server, signal.SIGKILL)
        wait_for(lambda: not any(alive(pid) for pid in workers), "the end of the workers")
        self.assertNotIn("Traceback", server.output())

    def test_second_signal_leaves_no_files_and_no_processes(self) -> None:
        server = self.server()
        client = self.slow_request(server, 30)
        workers = server.children()
        self.send(server, signal.SIGTERM)
        wait_for(lambda: not server.answers(), "the listeners' end")
        self.send(server, signal.SIGTERM)
        wait_for(lambda: server.ended and not any(alive(pid) for pid in workers), "the end of all")
        client.join(20)
        self.assertEqual((self.statuses, self.left()), ([0], []))


class SharedDirectoryTests(StoppingCase):
    def test_repeated_deaths_of_workers_leave_no_files_and_lose_no_counts(self) -> None:
        server = self.server()

        def files() -> set[str]:
            return {path.name for path in self.scratch.glob("imgforge-metrics.*/*")}

        def counted() -> float:
            metrics = server.get("/metrics").body.decode().splitlines()
            return sum(
                float(line.split()[-1]) for line in metrics if line.startswith('status_codes_total{status="404"')
            )

        def killed() -> None:
            before = server.children()
            os.kill(before[0], signal.SIGKILL)
            wait_for(lambda: before[0] not in server.children() and len(server.children()) == 2, "another worker")

        for number in range(1, 4):
            server.get("/unsafe/plain/nothing://x")
            wait_for(lambda number=number: counted() == number, "the answer in the metrics")  # type: ignore[misc]
            killed()
        wait_for(lambda: len(files()) == 15, "five files each of the parent and two workers")
        wait_for(lambda: counted() == 3, "all answers in the metrics")

    def test_start_removes_the_directory_of_a_killed_server(self) -> None:
        server = self.server()
        self.send(server, signal.SIGKILL)
        wait_for(lambda: server.ended, "its end")
        (left,) = self.scratch.glob("imgforge-metrics.*")
        self.server()
        self.assertNotIn(left, set(self.scratch.glob("imgforge-metrics.*")))


class SharedSocketTests(StoppingCase):
    def greet(self) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(self.socket))
            client.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(12)

    def test_worker_that_stops_leaves_the_unix_socket_to_the_others(self) -> None:
        server = self.server()
        first = server.children()
        os.kill(first[0], signal.SIGTERM)
        wait_for(lambda: first[0] not in server.children() and len(server.children()) == 2, "another worker")
        self.assertEqual([self.greet() for _ in range(4)], [b"HTTP/1.1 200"] * 4)

    def test_unix_socket_keeps_its_mode_and_is_removed_at_the_end(self) -> None:
        for processes in (1, 2):
            server = self.server(processes)
            self.assertEqual((self.socket.stat().st_mode & 0o777, self.greet()), (0o600, b"HTTP/1.1 200"))
            self.assertEqual((server.stop(), self.left()), (0, []))


class FailedStartTests(StoppingCase):
    def test_failed_start_leaves_no_files(self) -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        metrics = f"127.0.0.1:{taken.getsockname()[1]}"
        server = Twistd(
            {"ALLOW_UNSIGNED": "true", "PROCESSES": "2", "BIND": f"unix:{self.socket}", "PROMETHEUS_BIND": metrics}
        )
        server.environment = {"TMPDIR": str(self.scratch), "RUNTIME_DIRECTORY": str(self.scratch)}
        self.addCleanup(server.clean)
        server.launch()
        wait_for(lambda: server.ended, "the end of a start that fails")
        self.assertEqual((server.output().count("\n"), self.left()), (1, []))

    def test_unusable_tls_files_are_reported_in_one_line(self) -> None:
        for processes in ("1", "2"):
            endpoint = f"ssl:0:interface=127.0.0.1:privateKey={self.scratch / 'none.pem'}"
            server = Twistd({"ALLOW_UNSIGNED": "true", "PROCESSES": processes, "BIND": endpoint})
            self.addCleanup(server.clean)
            server.launch()
            wait_for(lambda server=server: server.ended, "the end of a start that fails")  # type: ignore[misc]
            self.assertEqual(server.process and server.process.returncode, 1)
            server.assert_logged("none.pem: No such file or directory")
            self.assertEqual(server.output().count("\n"), 1)
