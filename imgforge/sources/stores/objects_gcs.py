"""The objects of a bucket of Google Cloud Storage, for the cache, through the JSON API."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from msgspec import Struct, field

from imgforge.interfaces import IServerReactor
from imgforge.object_stores import ObjectPage, StoredObject
from imgforge.sources.http import OriginRequest, Refusal, ServiceResponse
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import BucketUse, GcsSettings
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.credentials_threads import keeper_on_threads
from imgforge.sources.stores.error_codes import error_code
from imgforge.sources.stores.gcs_credentials import endpoint_of, needs_token, token_loader
from imgforge.sources.stores.object_listings import parsed_json, seconds_of_time, size_of
from imgforge.sources.stores.object_store import ObjectStore

__all__ = ["GcsObjects", "gcs_objects"]

_JSON_API = "/storage/v1"
_CURES = {
    401: "credentials are missing or refused: check IMGFORGE_CACHE_GCS_KEY or GOOGLE_APPLICATION_CREDENTIALS",
    403: "access is denied: grant the service account roles/storage.objectUser on the bucket",
    404: "there is no such bucket: check IMGFORGE_CACHE_BUCKET and IMGFORGE_CACHE_GCS_ENDPOINT",
    429: "the store throttles: too many requests for the bucket",
    503: "the store is overloaded or down",
}


class _Object(Struct):
    size: str
    name: str = ""
    updated: str = ""


class _Listing(Struct):
    items: list[_Object] = []
    next_page: str = field(name="nextPageToken", default="")


class GcsObjects:
    """See `ObjectKind`; without *tokens* requests are sent unauthenticated."""

    def __init__(self, settings: GcsSettings, bucket: str, tokens: CredentialsKeeper[str] | None) -> None:
        self.where = f"gs://{bucket}"
        self._tokens = tokens
        base = endpoint_of(settings).removesuffix(_JSON_API)
        path = f"{_JSON_API}/b/{quote(bucket, safe='')}/o"
        self._objects, self._uploads = f"{base}{path}", f"{base}/upload{path}"

    async def get(self, name: str, size: int = 0) -> OriginRequest:
        headers = {"range": f"bytes=0-{size - 1}"} if size else {}
        return await self._request(f"{self._url(name)}?alt=media", headers=headers)

    async def head(self, name: str) -> OriginRequest:
        return await self._request(f"{self._url(name)}?fields=size")

    async def put(self, name: str, body: bytes, content_type: str, lifetime: float) -> OriginRequest:  # noqa: ARG002
        query = urlencode({"uploadType": "media", "name": name, "fields": "name"})
        return await self._request(f"{self._uploads}?{query}", "POST", {"content-type": content_type}, body)

    async def remove(self, name: str) -> OriginRequest:
        return await self._request(self._url(name), "DELETE")

    async def list(self, prefix: str, marker: str, most: int) -> OriginRequest:
        query = {"prefix": prefix, "maxResults": str(most), "fields": "items(name,size,updated),nextPageToken"}
        if marker:
            query["pageToken"] = marker
        return await self._request(f"{self._objects}?{urlencode(query)}")

    def size(self, response: ServiceResponse) -> int:
        return size_of(parsed_json(response.body, _Object).size)

    def page(self, response: ServiceResponse, most: int) -> ObjectPage:  # noqa: ARG002
        listing: _Listing = parsed_json(response.body, _Listing)
        found = [StoredObject(each.name, size_of(each.size), seconds_of_time(each.updated)) for each in listing.items]
        return ObjectPage(found, listing.next_page)

    async def learn_from(self, refusal: Refusal) -> bool:
        if refusal.status != 401 or self._tokens is None:
            return False
        return await self._tokens.replace(refusal.request.headers["authorization"])

    def code(self, refusal: Refusal) -> str:
        return error_code(refusal)

    def explain(self, refusal: Refusal) -> str:
        return _CURES.get(refusal.status, "")

    def _url(self, name: str) -> str:
        return f"{self._objects}/{quote(name, safe='')}"

    async def _request(
        self, url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> OriginRequest:
        sent = dict(headers or {})
        if self._tokens is not None:
            sent["authorization"] = await self._tokens.get()
        return OriginRequest(url, sent, body=body, method=method)


def gcs_objects(reactor: IServerReactor, settings: SourceSettings, gcs: GcsSettings, use: BucketUse) -> ObjectStore:
    """The store of *use*; see `open_object_store`."""
    tokens = None
    if needs_token(gcs):
        tokens = keeper_on_threads(reactor, "gcs", token_loader(gcs.key, writes=True), for_cache=True)
        tokens.start()
    return ObjectStore(reactor, settings, GcsObjects(gcs, use.bucket, tokens), use.timeout, tokens)
