"""Azurite: Azure Blob Storage's API in a program on loopback."""

from __future__ import annotations

import http.client
from base64 import b64decode
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import quote

from imgforge.sources.stores.azure_signature import shared_key_authorization
from tests.support.store_programs import StoreProgram

__all__ = ["ACCOUNT", "KEY", "AzureServer"]

# Those that Azurite has for everybody.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class AzureServer:
    """A running Azurite; *containers* are created, for the account's key or, where *public*, for everybody.

    Its telemetry is off: nothing leaves this machine.
    """

    def __init__(self, *containers: str, public: bool = False) -> None:
        self._program = StoreProgram(
            "azurite-blob", "--blobHost=127.0.0.1", "--blobPort={port}", "--inMemoryPersistence", "--silent",
            "--disableTelemetry",
        )  # fmt: skip
        self.port = self._program.port
        self.url = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        access = {"x-ms-blob-public-access": "blob"} if public else {}
        for container in containers:
            self._put(f"/{container}", {"restype": "container"}, b"", access)

    def put(self, container: str, name: str, body: bytes, media_type: str = "image/jpeg", **headers: str) -> str:
        """Store a blob; *headers* are further ones with underscores for hyphens. Its ETag."""
        sent = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-type": media_type}
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        return self._put(f"/{container}/{quote(name, safe='')}", {}, body, sent)

    def _put(self, path: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]) -> str:
        sent = {**headers, "x-ms-date": formatdate(usegmt=True), "x-ms-version": "2020-10-02"}
        if body:
            sent["content-length"] = str(len(body))
        path = f"/{ACCOUNT}{path}"
        sent["authorization"] = shared_key_authorization(ACCOUNT, b64decode(KEY), path, query, sent, "PUT")
        sent["content-length"] = str(len(body))
        asked = "".join(f"?{key}={value}" for key, value in query.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("PUT", path + asked, body, sent)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 201:
                raise AssertionError(f"{path}: {answer.status} {text!r}")
            return answer.headers["ETag"] or ""
        finally:
            connection.close()

    def close(self) -> None:
        self._program.close()
