"""Upgrades without loss, as docs/operations.md has them: two servers on one port, the old one stopped under load."""

from __future__ import annotations

import http.client
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.loopback_server import DEADLINE
from tests.support.pictures import encode, gradient
from tests.support.process import Twistd, wait_for

PATH = "/unsafe/w:20/plain/local:///a.png@png"


# How often the kernel may reset a connection whose handshake falls together with the close of the socket, which it does
# where net.ipv4.tcp_migrate_req is 0; what waits to be accepted, which is more, must not be lost.
MOST_RESETS = 2


class Load:
    """Clients that ask one port until they are told to stop; `failures` are requests that got no good answer.

    `resets` are new connections that were opened again, as proxies and clients do.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._answered: dict[str, int] = {}
        self.failures: list[str] = []
        self.resets: list[str] = []
        clients: list[Callable[[], None]] = [self._each_its_connection] * 3 + [self._on_one_connection] * 2
        self._threads = [threading.Thread(target=client, daemon=True) for client in clients]
        for thread in self._threads:
            thread.start()

    def answered_by(self, name: str) -> int:
        """How many good answers the server called *name* gave."""
        return self._answered.get(name, 0)

    def stop(self) -> None:
        """End all clients."""
        self._over.set()
        for thread in self._threads:
            thread.join(DEADLINE)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", PATH)
        reply = connection.getresponse()
        body = reply.read()
        name = reply.getheader("Server", "")
        if reply.status != 200 or not body:
            self.failures.append(f"{name}: {reply.status} {body!r}")
        self._answered[name] = self._answered.get(name, 0) + 1

    def _each_its_connection(self) -> None:
        while not self._over.is_set():
            for complaints in (self.resets, self.failures):
                connection = self._connection()
                try:
                    self._ask(connection)
                    break
                except (OSError, http.client.HTTPException) as error:
                    complaints.append(f"a connection of its own: {error!r}")
                finally:
                    connection.close()

    def _on_one_connection(self) -> None:
        connection, used = self._connection(), False
        while not self._over.is_set():
            try:
                self._ask(connection)
                used = True
            except (OSError, http.client.HTTPException) as error:
                # A server may close a connection that was used; a client then takes another (RFC 9112, section 9.3.1).
                if not used:
                    self.resets.append(f"a new connection: {error!r}")
                connection.close()
                connection, used = self._connection(), False
        connection.close()


class UpgradeTests(SynchronousTestCase):
    def setUp(self) -> None:
        root = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(root.cleanup)
        Path(root.name, "a.png").write_bytes(encode(gradient(40, 30), "PNG"))
        self.root = root.name

    def server(self, name: str, processes: int, port: int = 0) -> Twistd:
        server = Twistd(
            {
                "SO_REUSEPORT": "true",
                "ALLOW_UNSIGNED": "true",
                "LOCAL_FILESYSTEM_ROOT": self.root,
                "SERVER_NAME": name,
                "PROCESSES": str(processes),
            }
        )
        server.port = port or server.port
        self.addCleanup(server.clean)
        return server

    def upgrade(self, processes: int) -> None:
        old = self.server("old", processes).start()
        load = Load(old.port)
        self.addCleanup(load.stop)
        wait_for(lambda: load.answered_by("old") > 50, "answers of the old server")
        new = self.server("new", processes, old.port)
        new.launch()
        wait_for(lambda: new.ended or load.answered_by("new") > 50, "answers of the new server beside the old one")
        self.assertFalse(new.ended, new.output())
        self.assertEqual(old.stop(), 0)
        before = load.answered_by("new")
        wait_for(lambda: load.answered_by("new") > before + 200, "answers of the new server alone")
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertLessEqual(len(load.resets), MOST_RESETS, load.resets)
        self.assertEqual(new.stop(), 0)

    def test_no_request_fails_while_one_process_takes_over_from_another(self) -> None:
        self.upgrade(1)

    def test_no_request_fails_while_workers_take_over_from_others(self) -> None:
        self.upgrade(2)
