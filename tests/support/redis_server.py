"""A real Redis, which `.ci/stores` installs, started on loopback for a class of tests."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from imgforge.model import RedisAddress
from tests.support.process import free_port, wait_for
from tests.support.store_programs import store_program

__all__ = ["RedisServer"]


class RedisServer:
    """redis-server on a free port of loopback, without a file; *options* are more of its options.

    It is at `address`; `scratch` is a directory of its own, with the socket `socket`.
    """

    def __init__(self, *options: str, port_option: str = "--port") -> None:
        self.program = store_program("redis-server")
        self.scratch = tempfile.TemporaryDirectory(prefix="imgforge-redis-")
        self.socket = str(Path(self.scratch.name, "socket"))
        self.port = free_port()
        ports = (
            [port_option, str(self.port)] if port_option == "--port" else ["--port", "0", port_option, str(self.port)]
        )
        self._command = [self.program, *ports, "--bind", "127.0.0.1", "--unixsocket", self.socket]
        self._command += ["--save", "", "--dir", self.scratch.name, "--databases", "4", *options]
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def address(self) -> RedisAddress:
        return RedisAddress("127.0.0.1", self.port)

    def start(self, *options: str) -> None:
        """Start it, empty, on the same port, unless *options* say otherwise."""
        log = Path(self.scratch.name, "log")
        with log.open("ab") as output:
            process = subprocess.Popen([*self._command, *options], stdout=output, stderr=output)
        self.process = process
        wait_for(lambda: process.poll() is not None or self._answers(), "redis-server to answer")
        if process.poll() is not None:
            raise AssertionError(f"redis-server ended at once:\n{log.read_text('utf-8', 'replace')}")

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                client.ping()
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False
        return True

    def client(self, **options: Any) -> redis.Redis:
        """A client of the test's own, by the socket of the file system; to be closed."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis(unix_socket_path=self.socket, socket_timeout=10, client_name="test", retry=once, **options)

    def command(self, *arguments: Any) -> Any:
        """The answer to one command."""
        with self.client() as client:
            return client.execute_command(*arguments)

    def keys(self, pattern: str = "*") -> list[bytes]:
        return sorted(self.command("KEYS", pattern))

    def connections(self) -> list[dict[str, str]]:
        """`CLIENT LIST`, without the test's own connection."""
        with self.client() as client:
            return [one for one in client.client_list() if one["name"] != "test"]

    def hang(self) -> None:
        """Stop it as a machine that swaps does: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, with all that it holds."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        self.scratch.cleanup()

    def _signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)
