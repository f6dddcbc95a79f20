"""fake-gcs-server: Google Cloud Storage's API in a program on loopback."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote

from tests.support.store_programs import StoreProgram

__all__ = ["GcsServer"]


class GcsServer:
    """A running fake-gcs-server; *buckets* are created, and keep all generations of their objects."""

    def __init__(self, *buckets: str) -> None:
        # Objects lie at http://127.0.0.1/bucket/object too, as in the XML API.
        self._program = StoreProgram(
            "fake-gcs-server", "-scheme=http", "-host=127.0.0.1", "-port={port}", "-backend=memory",
            "-public-host=127.0.0.1",
        )  # fmt: skip
        self.port = self._program.port
        self.url = f"http://127.0.0.1:{self.port}"
        for bucket in buckets:
            self._post("/storage/v1/b?project=test", {"name": bucket, "versioning": {"enabled": True}})

    def put(self, bucket: str, name: str, body: bytes, **metadata: str) -> str:
        """Store an object with *metadata* such as contentType; its generation."""
        boundary = "imgforge-tests"
        described = json.dumps({"name": name, **metadata}).encode()
        parts = (
            _part("application/json", described),
            _part(metadata.get("contentType", "application/octet-stream"), body),
        )
        data = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
        data += f"--{boundary}--\r\n".encode()
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart&name={quote(name, safe='')}"
        answer = self._send(path, data, f"multipart/related; boundary={boundary}")
        return str(answer["generation"])

    def _post(self, path: str, value: object) -> Any:
        return self._send(path, json.dumps(value).encode(), "application/json")

    def _send(self, path: str, body: bytes, media_type: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": media_type})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status} {text!r}")
            return json.loads(text)
        finally:
            connection.close()

    def close(self) -> None:
        self._program.close()


def _part(media_type: str, body: bytes) -> bytes:
    return f"Content-Type: {media_type}\r\n\r\n".encode() + body
