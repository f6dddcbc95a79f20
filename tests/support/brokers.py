"""Brokers that `.ci/stores` installs, on loopback, which a test may kill and start again on the same data."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.support.process import free_port, listens, wait_for
from tests.support.store_programs import store_program

__all__ = ["Broker", "RabbitBroker", "RedisBroker"]


class Broker:
    """A program that keeps messages in a directory of its own; `url` is IMGFORGE_QUEUE_URL."""

    program = ""
    url = ""

    def __init__(self) -> None:
        self._path = store_program(self.program)
        self.port = free_port()
        self._scratch = tempfile.TemporaryDirectory(prefix="imgforge-broker-", ignore_cleanup_errors=True)
        self.directory = Path(self._scratch.name)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._path, *self.command()],
                cwd=self.directory,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        process = self._process
        wait_for(lambda: process.poll() is not None or listens(self.port), f"{self.program} to listen")
        if process.poll() is not None:
            raise AssertionError(f"{self.program} ended at once:\n{log.read_text('utf-8', 'replace')}")

    def stop(self) -> None:
        """End it as its operator would; its messages stay."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it, and remove what it kept."""
        self.stop()
        self._scratch.cleanup()


class RedisBroker(Broker):
    """Redis, with an append-only file."""

    program = "redis-server"

    def command(self) -> list[str]:
        return [
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
        ]

    @property
    def url(self) -> str:  # type: ignore[override]
        return f"redis://127.0.0.1:{self.port}/0"


class RabbitBroker(Broker):
    """RabbitMQ, with an Erlang port mapper of its own."""

    program = "rabbitmq-server"

    def __init__(self) -> None:
        super().__init__()
        self._mapper_port, self._distribution_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        directory = str(self.directory)
        return {
            "HOME": directory,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": "imgforge@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
            "RABBITMQ_BASE": directory,
            "RABBITMQ_MNESIA_BASE": f"{directory}/mnesia",
            "RABBITMQ_LOG_BASE": f"{directory}/logs",
            "RABBITMQ_CONFIG_FILE": f"{directory}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{directory}/plugins",
            "RABBITMQ_CONF_ENV_FILE": f"{directory}/env",
        }

    def command(self) -> list[str]:
        return []

    def start(self) -> None:
        """Start the port mapper, and RabbitMQ."""
        (self.directory / "plugins").write_text("[].")
        if self._mapper is None:
            self._mapper = subprocess.Popen(["epmd"], env=os.environ | self.environment(), stderr=subprocess.DEVNULL)
            wait_for(lambda: listens(self._mapper_port), "the port mapper")
        super().start()

    def close(self) -> None:
        """End both."""
        self.stop()
        if self._mapper is not None:
            self._mapper.terminate()
            self._mapper.wait()
        self._scratch.cleanup()

    @property
    def url(self) -> str:  # type: ignore[override]
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"
