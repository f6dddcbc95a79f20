"""Servers that speak HTTP/2 over TLS, in processes of their own: hypercorn and nginx."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.certificates import certificate

__all__ = ["HypercornOrigin", "NginxOrigin", "SubprocessOrigin", "app", "content"]


def content(name: str, size: int) -> bytes:
    """The bytes of a file of a server: other ones for each *name*."""
    block = b"".join(hashlib.sha256(f"{name}/{number}".encode()).digest() for number in range(32))
    return (block * (size // len(block) + 1))[:size]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """For hypercorn: /<size>/<name> has *size* bytes of `content`; the answer names the exact target and version."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    raw: bytes = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    _, size, name = scope["path"].split("/", 2)
    headers = [(b"content-length", size.encode()), (b"x-target", raw), (b"x-version", scope["http_version"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = content(name, int(size))
    for start in range(0, len(body), 65536):
        await send({"type": "http.response.body", "body": body[start : start + 65536], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class SubprocessOrigin:
    """A server over TLS on a free port of loopback; `certificate` is its own."""

    process: subprocess.Popen[bytes]

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self.pem = str(Path(scratch, "origin.pem"))
        self.certificate = certificate("localhost")
        Path(self.pem).write_bytes(self.certificate)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        with listening:
            self.start(listening)

    def start(self, listening: socket.socket) -> None:
        """Start the server, which may inherit the socket that is bound to its port."""
        raise NotImplementedError

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class HypercornOrigin(SubprocessOrigin):
    """hypercorn with `app`."""

    def start(self, listening: socket.socket) -> None:
        listening.listen(128)
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "hypercorn", "--bind", f"fd://{descriptor}", "--graceful-timeout", "0"]
        self.process = subprocess.Popen(
            [*command, "--certfile", self.pem, "--keyfile", self.pem, "tests.support.http2_servers:app"],
            pass_fds=[descriptor],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


class NginxOrigin(SubprocessOrigin):
    """nginx, which serves 100 requests per connection, 8 at once; /<name> is the file *scratch*/files/<name>."""

    program = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))

    def start(self, listening: socket.socket) -> None:
        listening.close()  # nginx that inherits a socket and has one process crashes
        Path(self.scratch, "files").mkdir()
        configuration = Path(self.scratch, "nginx.conf")
        configuration.write_text(f"""
            daemon off; master_process off; pid {self.scratch}/pid; error_log {self.scratch}/error.log;
            events {{ worker_connections 256; }}
            http {{
                access_log off; client_body_temp_path {self.scratch}/body; proxy_temp_path {self.scratch}/proxy;
                fastcgi_temp_path {self.scratch}/f; uwsgi_temp_path {self.scratch}/u; scgi_temp_path {self.scratch}/s;
                server {{
                    listen 127.0.0.1:{self.port} ssl http2;
                    ssl_certificate {self.pem}; ssl_certificate_key {self.pem};
                    http2_max_concurrent_streams 8; keepalive_requests 100;
                    root {self.scratch}/files;
                    location /target/ {{ add_header X-Target $request_uri; return 204; }}
                }}
            }}
        """)
        command = [str(self.program), "-p", self.scratch, "-c", str(configuration), "-e", f"{self.scratch}/error.log"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self.process.poll() is None:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        raise AssertionError(Path(self.scratch, "error.log").read_text())
