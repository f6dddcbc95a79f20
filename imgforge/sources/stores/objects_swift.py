"""The objects of a container of OpenStack Swift, for the cache."""

from __future__ import annotations

import math
from urllib.parse import quote, urlencode

from msgspec import Struct

from imgforge.interfaces import IServerReactor
from imgforge.object_stores import ObjectPage, StoredObject
from imgforge.sources.http import OriginRequest, Refusal, ServiceResponse
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import BucketUse, SwiftSettings
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.object_listings import parsed_json, seconds_of_time, size_of
from imgforge.sources.stores.object_store import ObjectStore
from imgforge.sources.stores.swift_auth import SwiftToken
from imgforge.sources.stores.swift_login import swift_tokens

__all__ = ["SwiftObjects", "swift_objects"]

_CURES = {
    401: "the store refuses the token, though it is new: does IMGFORGE_CACHE_SWIFT_AUTH_URL belong to this store?",
    403: "IMGFORGE_CACHE_SWIFT_USERNAME may not use the container: give it a read and a write ACL (swift post -r -w)",
    404: "there is no such container: check IMGFORGE_CACHE_BUCKET",
    507: "the store is full",
}


class _Object(Struct):
    bytes: int = 0
    name: str = ""
    last_modified: str = ""


class SwiftObjects:
    """See `ObjectKind`."""

    def __init__(self, container: str, tokens: CredentialsKeeper[SwiftToken]) -> None:
        self.where = f"swift://{container}"
        self._container = quote(container, safe="")
        self._tokens = tokens

    async def get(self, name: str, size: int = 0) -> OriginRequest:
        return await self._request("GET", name, headers={"range": f"bytes=0-{size - 1}"} if size else {})

    async def head(self, name: str) -> OriginRequest:
        return await self._request("HEAD", name)

    async def put(self, name: str, body: bytes, content_type: str, lifetime: float) -> OriginRequest:
        headers = {"content-type": content_type}
        if lifetime:
            headers["x-delete-after"] = str(math.ceil(lifetime))
        return await self._request("PUT", name, headers=headers, body=body)

    async def remove(self, name: str) -> OriginRequest:
        return await self._request("DELETE", name)

    async def list(self, prefix: str, marker: str, most: int) -> OriginRequest:
        query = {"format": "json", "limit": str(most), "prefix": prefix}
        if marker:
            query["marker"] = marker
        return await self._request("GET", "", query)

    def size(self, response: ServiceResponse) -> int:
        return size_of(response.headers.get("content-length", ""))

    def page(self, response: ServiceResponse, most: int) -> ObjectPage:
        listing: list[_Object] = parsed_json(response.body or b"[]", list[_Object])
        found = [StoredObject(each.name, each.bytes, seconds_of_time(each.last_modified)) for each in listing]
        return ObjectPage(found, found[-1].name if len(found) >= most else "")

    async def learn_from(self, refusal: Refusal) -> bool:
        if refusal.status != 401:
            return False
        return await self._tokens.replace(SwiftToken(refusal.request.headers["x-auth-token"], ""))

    def code(self, refusal: Refusal) -> str:  # noqa: ARG002
        return ""  # Swift has statuses only

    def explain(self, refusal: Refusal) -> str:
        return _CURES.get(refusal.status, "")

    async def _request(
        self,
        method: str,
        name: str,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> OriginRequest:
        token = await self._tokens.get()
        url = f"{token.storage_url}/{self._container}" + (f"/{quote(name, safe='/')}" if name else "")
        if query:
            url += f"?{urlencode(query, quote_via=quote)}"
        return OriginRequest(url, {**(headers or {}), "x-auth-token": token.value}, body=body, method=method)


def swift_objects(
    reactor: IServerReactor, settings: SourceSettings, swift: SwiftSettings, use: BucketUse
) -> ObjectStore:
    """The store of *use*; see `open_object_store`."""
    tokens = swift_tokens(reactor, settings, swift, for_cache=True)
    reactor.callWhenRunning(tokens.start)
    return ObjectStore(reactor, settings, SwiftObjects(use.bucket, tokens), use.timeout, tokens)
