"""The objects of a bucket of S3, for the cache."""

from __future__ import annotations

import os

from imgforge.concurrency import run_by_size
from imgforge.interfaces import IServerReactor
from imgforge.object_stores import ObjectPage, StoredObject
from imgforge.sources.http import OriginRequest, Refusal, ServiceResponse
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import BucketUse, S3Settings
from imgforge.sources.stores.credentials_threads import keeper_on_threads
from imgforge.sources.stores.object_listings import elements, parsed_xml, seconds_of_time, size_of, text_of
from imgforge.sources.stores.object_store import ObjectStore
from imgforge.sources.stores.s3_addressing import S3Addressing
from imgforge.sources.stores.s3_botocore import credentials_loader, profile_region
from imgforge.sources.stores.s3_refusals import s3_error
from imgforge.sources.stores.s3_requests import S3Requests
from imgforge.sources.stores.s3_signature import payload_of

__all__ = ["S3Objects", "s3_objects"]

_DENIED = (
    "the credentials need s3:GetObject, s3:PutObject and s3:DeleteObject on the objects and s3:ListBucket on the "
    "bucket; without the last a missing object looks like a forbidden one"
)
_CURES = {
    "AccessDenied": _DENIED,
    "NoSuchBucket": "there is no such bucket: check IMGFORGE_CACHE_BUCKET and IMGFORGE_CACHE_S3_ENDPOINT",
}


class S3Objects:
    """See `ObjectKind`."""

    def __init__(self, reactor: IServerReactor, bucket: str, requests: S3Requests) -> None:
        self.where = f"s3://{bucket}"
        self._reactor = reactor
        self._bucket = bucket
        self._requests = requests

    async def get(self, name: str, size: int = 0) -> OriginRequest:
        return await self._requests.signed(
            self._bucket, name, headers={"range": f"bytes=0-{size - 1}"} if size else None
        )

    async def head(self, name: str) -> OriginRequest:
        return await self._requests.signed(self._bucket, name, method="HEAD")

    async def put(self, name: str, body: bytes, content_type: str, lifetime: float) -> OriginRequest:  # noqa: ARG002
        payload = await run_by_size(self._reactor, len(body), lambda: payload_of(body))
        return await self._requests.signed(
            self._bucket, name, headers={"content-type": content_type}, method="PUT", body=body, payload=payload
        )

    async def remove(self, name: str) -> OriginRequest:
        return await self._requests.signed(self._bucket, name, method="DELETE")

    async def list(self, prefix: str, marker: str, most: int) -> OriginRequest:
        query = {"list-type": "2", "max-keys": str(most), "prefix": prefix}
        if marker:
            query["start-after"] = marker
        return await self._requests.signed(self._bucket, "", query.items())

    def size(self, response: ServiceResponse) -> int:
        return size_of(response.headers.get("content-length", ""))

    def page(self, response: ServiceResponse, most: int) -> ObjectPage:  # noqa: ARG002
        root = parsed_xml(response.body)
        found = [
            StoredObject(
                text_of(each, "Key"), size_of(text_of(each, "Size")), seconds_of_time(text_of(each, "LastModified"))
            )
            for each in elements(root, "Contents")
        ]
        return ObjectPage(found, found[-1].name if found and text_of(root, "IsTruncated") == "true" else "")

    async def learn_from(self, refusal: Refusal) -> bool:
        return await self._requests.learn_from(self._bucket, refusal)

    def code(self, refusal: Refusal) -> str:
        return s3_error(refusal).code

    def explain(self, refusal: Refusal) -> str:
        code = self.code(refusal)
        if not code:
            return _DENIED if refusal.status == 403 else ""
        return _CURES.get(code) or s3_error(refusal).explain(refusal.status).partition(": ")[2]


def s3_objects(reactor: IServerReactor, settings: SourceSettings, s3: S3Settings, use: BucketUse) -> ObjectStore:
    """The store of *use*; see `open_object_store`."""
    addressing = S3Addressing(s3, os.environ, profile_region())
    credentials = keeper_on_threads(reactor, "s3", credentials_loader(s3, addressing.region), for_cache=True)
    credentials.start()
    kind = S3Objects(reactor, use.bucket, S3Requests(addressing, credentials))
    return ObjectStore(reactor, settings, kind, use.timeout, credentials)
