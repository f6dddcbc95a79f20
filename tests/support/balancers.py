"""HAProxy and nginx with the files of etc/, in front of nodes on loopback."""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.certificates import certificate
from tests.support.loopback_server import DEADLINE
from tests.support.process import ROOT, Reply, free_port, wait_for
from tests.support.store_programs import store_program

__all__ = ["Balancer", "haproxy", "nginx", "replaced"]


def replaced(path: str, replacements: Mapping[str, str]) -> str:
    """The text of a file of etc/ with other ports and places; each that is replaced must be there exactly once."""
    text = (ROOT / "etc" / path).read_text("utf-8")
    for old, new in replacements.items():
        if text.count(old) != 1:
            raise AssertionError(f"etc/{path} does not say {old!r} once")
        text = text.replace(old, new)
    return text


class Balancer:
    """A running balancer: https on `port`, http on `plain_port`; clients trust its certificate."""

    def __init__(self) -> None:
        self.port, self.plain_port, self.operator_port = free_port(), free_port(), free_port()
        self.scratch = tempfile.TemporaryDirectory(prefix="imgforge-balancer-")
        self.place = Path(self.scratch.name)
        self.pem = self.place / "certs" / "imgforge.pem"
        self.pem.parent.mkdir()
        self.pem.write_bytes(certificate("127.0.0.1"))
        self.tls = ssl.create_default_context(cafile=str(self.pem))
        self.log = self.place / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *command: str) -> None:
        """Start it and wait until it listens."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=self.place, stdout=log, stderr=log)
        wait_for(lambda: self.ended or self._listens(), f"{command[0]} to listen")
        if self.ended:
            raise AssertionError(f"{command[0]} ended at once:\n{self.output()}")

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _listens(self) -> bool:
        try:
            self.connection().connect()
        except OSError:
            return False
        return True

    def connection(self) -> http.client.HTTPSConnection:
        """A connection of a client, which stays open for several requests."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=self.tls)

    def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Reply:
        """One request on a connection of its own."""
        return self._answer(self.connection(), path, headers, method)

    def plain(self, path: str) -> Reply:
        """One request without TLS."""
        return self._answer(http.client.HTTPConnection("127.0.0.1", self.plain_port, timeout=DEADLINE), path)

    def operator(self, path: str) -> Reply:
        """One request to the operator's listener."""
        return self._answer(http.client.HTTPConnection("127.0.0.1", self.operator_port, timeout=DEADLINE), path)

    def _answer(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Reply:
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def output(self) -> str:
        """All that it has logged."""
        return self.log.read_text("utf-8", "replace")

    def close(self) -> None:
        """End it, and remove what it left."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.scratch.cleanup()


def haproxy(ports: Sequence[int]) -> Balancer:
    """HAProxy with etc/haproxy/haproxy.cfg, four times as fast with its checks, in front of nodes on *ports*."""
    program = store_program("haproxy")
    balancer = Balancer()
    nodes = "\n    ".join(f"server imgforge-{n} 127.0.0.1:{port} id {n}" for n, port in enumerate(ports, 1))
    text = replaced(
        "haproxy/haproxy.cfg",
        {
            "bind :80\n": f"bind 127.0.0.1:{balancer.plain_port}\n",
            "bind :443 ssl crt /etc/haproxy/certs/ ": f"bind 127.0.0.1:{balancer.port} ssl crt {balancer.pem} ",
            "bind 127.0.0.1:8405": f"bind 127.0.0.1:{balancer.operator_port}",
            "/run/haproxy/admin.sock": f"{balancer.place}/admin.sock",
            "check inter 1s fall 2 rise 2 slowstart 30s": "check inter 250ms fall 2 rise 2 slowstart 7s",
            "server imgforge-1 192.0.2.11:3000 id 1\n    server imgforge-2 192.0.2.12:3000 id 2": nodes,
        },
    )
    (balancer.place / "haproxy.cfg").write_text(text, "utf-8")
    balancer.start(program, "-db", "-f", str(balancer.place / "haproxy.cfg"))
    return balancer


def nginx_files(balancer: Balancer, ports: Sequence[int]) -> Path:
    """Write etc/nginx/imgforge.conf with *ports*, and the file around it; return the path of that."""
    place = balancer.place
    nodes = "\n    ".join(f"server 127.0.0.1:{port} fail_timeout=5s;" for port in ports)
    text = replaced(
        "nginx/imgforge.conf",
        {
            "listen 80;": f"listen 127.0.0.1:{balancer.plain_port};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{balancer.port} ssl http2;",
            "/etc/nginx/certs/imgforge.pem": str(balancer.pem),
            "/etc/nginx/certs/imgforge.key": str(balancer.pem),
            "/var/log/nginx/imgforge.log": str(place / "access.log"),
            "server 192.0.2.11:3000 fail_timeout=5s;\n    server 192.0.2.12:3000 fail_timeout=5s;": nodes,
        },
    )
    (place / "imgforge.conf").write_text(text, "utf-8")
    temporary = "".join(
        f"{name}_temp_path {place}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = place / "nginx.conf"
    main.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} worker_processes 1; daemon off; pid {place}/pid;\n"
        f"error_log stderr warn; events {{}}\nhttp {{ {temporary} include {place}/imgforge.conf; }}\n",
        "utf-8",
    )
    return main


def nginx(ports: Sequence[int]) -> Balancer:
    """nginx with etc/nginx/imgforge.conf, in front of nodes on *ports*."""
    program = store_program("nginx")
    balancer = Balancer()
    balancer.start(program, "-e", "stderr", "-p", str(balancer.place), "-c", str(nginx_files(balancer, ports)))
    return balancer
