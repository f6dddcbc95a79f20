"""Starts an S3 server on loopback with a bucket of files: versitygw, or moto's server where that is not installed."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.servers import free_port, running_process

__all__ = ["BUCKET", "ObjectStore", "s3_server"]

BUCKET = "images"
_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A running S3 server with the bucket `BUCKET`."""

    name: str
    address: str  # host:port
    credentials: Mapping[str, str]  # the AWS_* variables of a user who may read the bucket

    def settings(self, prefix: str, endpoint: str = "") -> dict[str, str]:
        """Return the environment of a server that reads from the store, whose settings begin with *prefix*.

        *endpoint* is a URL of a proxy before the store; empty is the store itself.
        """
        names = {"USE_S3": "true", "S3_ENDPOINT": endpoint or f"http://{self.address}", "S3_REGION": _REGION}
        # No account of the user who measures.
        files = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": os.devnull}
        return {f"{prefix}_{name}": value for name, value in names.items()} | dict(self.credentials) | files

    def put_all(self, directory: Path) -> None:
        """Store each file below *directory* under its relative path, after making the bucket if there is none."""
        from botocore.config import Config
        from botocore.session import Session

        client: Any = Session().create_client(
            "s3",
            region_name=_REGION,
            endpoint_url=f"http://{self.address}",
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)

        def put(path: Path) -> None:
            client.put_object(Bucket=BUCKET, Key=path.relative_to(directory).as_posix(), Body=path.read_bytes())

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, sorted(path for path in directory.rglob("*") if path.is_file())))


@contextmanager
def s3_server(objects: Path) -> Iterator[ObjectStore]:
    """Run an S3 server with the files below *objects* in its bucket."""
    port = free_port()
    credentials = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
    name = "versitygw" if shutil.which("versitygw") else "moto"
    with tempfile.TemporaryDirectory() as directory:
        command: tuple[str, ...] = (sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port))
        if name == "versitygw":
            listen = ("--port", f"127.0.0.1:{port}", "--keep-alive", "--quiet", "--region", _REGION)
            command = ("versitygw", *listen, "posix", directory)
        root = {
            "ROOT_ACCESS_KEY_ID": credentials["AWS_ACCESS_KEY_ID"],
            "ROOT_SECRET_ACCESS_KEY": credentials["AWS_SECRET_ACCESS_KEY"],
        }
        with running_process(command, port, settings=root):
            store = ObjectStore(name, f"127.0.0.1:{port}", credentials)
            store.put_all(objects)
            yield store
