"""A metadata service on loopback: EC2's (IMDSv2) and that of ECS' containers, for the credentials of a machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.support.loopback_server import LoopbackServer, QuietHandler

__all__ = ["MetadataServer"]

_ROLE = "image-server"
_IMDS = "/latest/meta-data/iam/security-credentials/"


class MetadataServer(LoopbackServer):
    """Gives *credentials* (AccessKeyId, SecretAccessKey, SessionToken) that are valid for *seconds*.

    `asked` are the paths of all requests. While it is held it is silent.
    """

    def __init__(self, credentials: dict[str, str], seconds: float = 3600) -> None:
        self.credentials = credentials
        self.seconds = seconds
        self.status = 200
        self.asked: list[str] = []
        service = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.0"

            def do_PUT(self) -> None:
                self._send(b"a-session-of-imds", self.path == "/latest/api/token")

            def do_GET(self) -> None:
                if self.path == "/container":
                    self._send(service._document(), self.headers.get("Authorization") == "containers-token")
                    return
                signed = self.headers.get("X-aws-ec2-metadata-token") == "a-session-of-imds"
                if self.path == _IMDS:
                    self._send(_ROLE.encode(), signed)
                else:
                    self._send(service._document(), signed and self.path == _IMDS + _ROLE)

            def _send(self, body: bytes, good: bool) -> None:
                service.asked.append(self.path)
                service.wait()
                self.send_response(service.status if good else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)
        self.url = f"http://{self.host}"

    def _document(self) -> bytes:
        ends = datetime.now(UTC) + timedelta(seconds=self.seconds)
        return json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "LastUpdated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "AccessKeyId": self.credentials["AccessKeyId"],
                "SecretAccessKey": self.credentials["SecretAccessKey"],
                "Token": self.credentials["SessionToken"],
                "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            }
        ).encode()
