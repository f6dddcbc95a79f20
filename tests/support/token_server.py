"""The endpoints that clouds hand out access tokens at: OAuth, Google's metadata server, Azure's managed identity."""

from __future__ import annotations

import json
import time
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.loopback_server import LoopbackServer, QuietHandler

__all__ = ["TokenServer", "service_account"]

_ACCOUNT = "imgforge@test.iam.gserviceaccount.com"


class TokenServer(LoopbackServer):
    """Hands out tokens that are valid for *life* seconds; with *refusal* it refuses in these words."""

    def __init__(self, life: float = 3600.0) -> None:
        self.life = life
        self.refusal = ""
        self.requests: list[tuple[str, dict[str, str], dict[str, list[str]]]] = []  # path, headers, form or query
        self.issued: list[str] = []
        self._valid: dict[str, float] = {}
        self._lock = Lock()
        server = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                self._answer(parse_qs(urlsplit(self.path).query))

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self._answer(parse_qs(self.rfile.read(length).decode()))

            def _answer(self, form: dict[str, list[str]]) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.requests.append((urlsplit(self.path).path, headers, form))
                server.wait()
                status, answer = server.answer(urlsplit(self.path).path)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)
        self.url = f"http://{self.host}"

    def answer(self, path: str) -> tuple[int, dict[str, object]]:
        if self.refusal:
            return 400, {
                "error": "invalid_grant", "error_description": self.refusal, "statusCode": 400, "message": self.refusal,
            }  # fmt: skip
        if path.endswith("/service-accounts/default/"):
            return 200, {"email": _ACCOUNT, "scopes": [], "aliases": ["default"]}
        with self._lock:
            token = f"token-{len(self.issued)}"
            self.issued.append(token)
            self._valid[token] = time.time() + self.life
        life = int(self.life)
        return 200, {
            "access_token": token, "token_type": "Bearer", "expires_in": life, "expires_on": int(time.time()) + life,
            "resource": "https://storage.azure.com",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }  # fmt: skip

    def accepts(self, authorization: str) -> bool:
        """Whether an Authorization header carries a token that is valid now."""
        token = authorization.removeprefix("Bearer ")
        return time.time() < self._valid.get(token, 0)

    def revoke(self) -> None:
        """Have no token handed out so far be valid."""
        self._valid.clear()


def service_account(token_url: str) -> str:
    """The key of a service account, as JSON text, whose tokens come from *token_url*."""
    key = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return json.dumps({
        "type": "service_account", "project_id": "test", "private_key_id": "1", "private_key": key.decode(),
        "client_email": _ACCOUNT, "client_id": "1", "token_uri": token_url,
    })  # fmt: skip
