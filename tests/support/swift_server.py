"""Stores that speak Swift, on loopback: OpenStack itself where it is installed, and a small one with faults on demand.

`RealSwift` starts Swift with tempauth (version 1) or with Keystone (version 3). Version 2 is in no Keystone since 2018:
the small server answers it by its documentation, and does what no real one does when asked.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest import SkipTest
from urllib.parse import quote, unquote, urlsplit

from imgforge.model import Unsatisfiable, byte_range
from tests.support.loopback_server import DEADLINE, LoopbackServer, QuietHandler

__all__ = ["RealSwift", "SmallSwift"]

_SCRIPT = Path(__file__).with_name("openstack") / "run_store.py"
_PYTHON = "openstack-python"  # has the packages swift, keystone and keystonemiddleware
_PATIENCE = 240.0  # seconds: Keystone makes a database first
_MODIFIED = formatdate(1445412480, usegmt=True)


@contextmanager
def _request(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    *,
    path: str = "",
) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=DEADLINE)
    try:
        connection.request(method, parts.path + path, body, dict(headers or {}))
        yield connection.getresponse()
    finally:
        connection.close()


class RealSwift:
    """OpenStack Swift, started for the tests of a class; SkipTest, which says what to install, where it is missing."""

    def __init__(self, *, keystone: bool = False) -> None:
        directory = os.environ.get("IMGFORGE_TEST_STORES", "")
        python = Path(directory, "bin", _PYTHON).resolve()
        if not directory or not os.access(python, os.X_OK):
            raise SkipTest(
                f"{_PYTHON} is not installed: .ci/stores DIR installs it, IMGFORGE_TEST_STORES=DIR names where"
            )
        self._scratch = tempfile.TemporaryDirectory(prefix="imgforge-swift-")
        log = Path(self._scratch.name, "log")
        with log.open("wb") as output:
            command = [str(python), str(_SCRIPT), f"{self._scratch.name}/swift", *(["keystone"] if keystone else [])]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            end = time.monotonic() + _PATIENCE
            while self._process.poll() is None and b"\nserving " not in b"\n" + log.read_bytes():
                if time.monotonic() > end:
                    raise AssertionError(f"waited {_PATIENCE:g} s in vain for Swift:\n{log.read_text()}")
                time.sleep(0.1)
            (line,) = [line for line in log.read_text().splitlines() if line.startswith("serving ")] or [""]
            self.auth_url = line.removeprefix("serving ")
            if not self.auth_url:
                raise AssertionError(f"Swift does not start:\n{log.read_text()}")
            self._keystone = keystone
            self._storage, self._token = self._authenticate()
        except BaseException:
            self.close()
            raise

    @property
    def settings(self) -> dict[str, str]:
        """The settings of imgforge, without the prefix."""
        given = {"USE_SWIFT": "true", "SWIFT_AUTH_URL": self.auth_url}
        if self._keystone:
            return given | {"SWIFT_USERNAME": "admin", "SWIFT_API_KEY": "secret", "SWIFT_TENANT": "admin"}
        return given | {"SWIFT_USERNAME": "test:tester", "SWIFT_API_KEY": "testing"}

    def put(self, container: str, name: str, body: bytes, content_type: str = "image/png") -> None:
        """Store an object; the container is made."""
        token = {"X-Auth-Token": self._token}
        for path, content in ((quote(container), b""), (f"{quote(container)}/{quote(name)}", body)):
            headers = token | {"Content-Type": content_type}
            with _request(self._storage, "PUT", headers, content, path=f"/{path}") as answer:
                if answer.status not in (201, 202):
                    raise AssertionError(f"Swift answered {answer.status} to PUT {path}")

    def forget_tokens(self) -> None:
        """Revoke all tokens of tempauth."""
        with _request(self._storage.partition("/v1/")[0], path="/forget") as answer:
            if answer.status != 204:
                raise AssertionError(f"Swift answered {answer.status}")
        self._storage, self._token = self._authenticate()

    def _authenticate(self) -> tuple[str, str]:
        if not self._keystone:
            headers = {"X-Auth-User": "test:tester", "X-Auth-Key": "testing"}
            with _request(self.auth_url, headers=headers) as answer:
                return answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
        default = {"name": "Default"}
        user = {"name": "admin", "domain": default, "password": "secret"}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": default}}
        body = json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()
        headers = {"Content-Type": "application/json"}
        with _request(self.auth_url, "POST", headers, body, path="/auth/tokens") as answer:
            services = json.load(answer)["token"]["catalog"]
            (store,) = [service for service in services if service["type"] == "object-store"]
            return store["endpoints"][0]["url"], answer.headers["X-Subject-Token"]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._scratch.cleanup()


class SmallSwift(LoopbackServer):
    """Swift and its authentication of *version*, for the user test:tester with the key testing.

    `authentications` are the requests for tokens, `requests` those for objects: (path, headers, body). `lifetime` is
    that of new tokens in seconds, None tells none. `auth_status` and `statuses` are answered in place of success.
    """

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.objects: dict[str, bytes] = {}
        self.authentications: list[tuple[str, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.tokens: set[str] = set()
        self.lifetime: int | None = 3600
        self.auth_status = 0
        self.auth_answer: bytes | None = None
        self.statuses: list[int] = []
        self.storage_url = ""  # in place of its own
        self.api_key_form_only = False
        store = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                store._handle(self, b"")

            def do_POST(self) -> None:
                store._handle(self, self.rfile.read(int(self.headers["Content-Length"])))

        super().__init__(Handler)

    @property
    def base(self) -> str:
        return f"http://{self.host}"

    @property
    def auth_url(self) -> str:
        return self.base + {1: "/auth/v1.0", 2: "/v2.0", 3: "/v3/"}[self.version]

    @property
    def settings(self) -> dict[str, str]:
        """The settings of imgforge, without the prefix."""
        return {
            "USE_SWIFT": "true",
            "SWIFT_AUTH_URL": self.auth_url,
            "SWIFT_USERNAME": "test:tester",
            "SWIFT_API_KEY": "testing",
            "SWIFT_TENANT": "images",
        }

    def put(self, container: str, name: str, body: bytes) -> None:
        """Store an object."""
        self.objects[f"{container}/{name}"] = body

    def forget_tokens(self) -> None:
        """Revoke all tokens."""
        self.tokens.clear()

    def _handle(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        told = {name.lower(): value for name, value in handler.headers.items()}
        if handler.path.startswith("/v1/AUTH_test/"):
            self.requests.append((handler.path, told, body))
            status, headers, content = self._object(handler.path.removeprefix("/v1/AUTH_test/"), told)
        else:
            self.authentications.append((handler.path, told, body))
            self.wait()
            status, headers, content = self._authenticate(handler.command, handler.path, told, body)
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if status != 304:
            handler.wfile.write(content)

    def _authenticate(
        self, method: str, path: str, told: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if self.auth_status:
            return self.auth_status, {}, b""
        if self.auth_answer is not None:
            return 200, {"X-Subject-Token": "a"}, self.auth_answer
        token = f"token-{len(self.authentications)}"
        self.tokens.add(token)
        storage = self.storage_url or f"{self.base}/v1/AUTH_test"
        now = time.time()
        times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + more)) for more in (0, self.lifetime or 0)]
        if (method, path) == ("GET", "/auth/v1.0"):
            if (told.get("x-auth-user"), told.get("x-auth-key")) != ("test:tester", "testing"):
                return 401, {}, b""
            lifetime = {} if self.lifetime is None else {"X-Auth-Token-Expires": str(self.lifetime)}
            return 200, {"X-Storage-Url": storage, "X-Auth-Token": token, **lifetime}, b""
        auth: dict[str, Any] = json.loads(body)["auth"]
        if (method, path) == ("POST", "/v2.0/tokens"):
            secrets = {
                "passwordCredentials": {"username": "test:tester", "password": "testing"},
                "RAX-KSKEY:apiKeyCredentials": {"username": "test:tester", "apiKey": "testing"},
            }
            if self.api_key_form_only:
                del secrets["passwordCredentials"]
            if not any(auth.get(name) == secret for name, secret in secrets.items()):
                return 401, {}, b""
            issued = (
                {"id": token} if self.lifetime is None else {"id": token, "issued_at": times[0], "expires": times[1]}
            )
            service = {"type": "object-store", "endpoints": [{"region": "one", "publicURL": storage, "adminURL": "x"}]}
            access = {"token": issued, "serviceCatalog": [{"type": "identity", "endpoints": []}, service]}
            return 200, {}, json.dumps({"access": access}).encode()
        user = auth["identity"]["password"]["user"]
        if (method, path) != ("POST", "/v3/auth/tokens") or user["password"] != "testing":
            return 401, {}, b""
        ends = {} if self.lifetime is None else {"issued_at": times[0], "expires_at": times[1]}
        endpoints = [{"interface": "admin", "url": "x"}, {"interface": "public", "url": storage}]
        answer = {"token": {**ends, "catalog": [{"type": "object-store", "endpoints": endpoints}]}}
        return 201, {"X-Subject-Token": token}, json.dumps(answer).encode()

    def _object(self, path: str, told: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        trace = {"X-Trans-Id": f"tx{len(self.requests)}"}
        if told.get("x-auth-token") not in self.tokens:
            return 401, trace, b"<html><h1>Unauthorized</h1></html>"
        if self.statuses:
            return self.statuses.pop(0), trace, b"<html>secret</html>"
        body = self.objects.get(unquote(path))
        if body is None:
            return 404, trace, b"<html><h1>Not Found</h1></html>"
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        head = {
            **trace,
            "ETag": etag,
            "Last-Modified": _MODIFIED,
            "Accept-Ranges": "bytes",
            "Content-Type": "image/png",
        }
        if told.get("if-none-match") == etag or told.get("if-modified-since") == _MODIFIED:
            return 304, head, b""
        try:
            part = byte_range(told.get("range", ""), len(body))
        except Unsatisfiable:
            return 416, head | {"Content-Range": f"bytes */{len(body)}"}, b""
        if part is None:
            return 200, head, body
        start, end = part
        return 206, head | {"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}, body[start:end]
