"""The blobs of a container of Azure Blob Storage, for the cache."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from imgforge.interfaces import IServerReactor
from imgforge.object_stores import ObjectPage, StoredObject
from imgforge.sources.http import OriginRequest, Refusal, ServiceResponse
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import AzureSettings, BucketUse
from imgforge.sources.stores.azure import API_VERSION, azure_credentials, azure_endpoint, azure_error_code
from imgforge.sources.stores.azure_credentials import AzureCredentials
from imgforge.sources.stores.object_listings import elements, parsed_xml, seconds_of_date, size_of, text_of
from imgforge.sources.stores.object_store import ObjectStore

__all__ = ["AzureObjects", "azure_objects"]

_CURES: dict[str | int, str] = {
    "ContainerNotFound": "the container does not exist: check IMGFORGE_CACHE_BUCKET and IMGFORGE_CACHE_ABS_NAME",
    "AuthenticationFailed": "the signature is refused: check IMGFORGE_CACHE_ABS_NAME, IMGFORGE_CACHE_ABS_KEY and the "
    "clock",
    "AuthorizationPermissionMismatch": "access is denied: give the identity the role Storage Blob Data Contributor",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: unset IMGFORGE_CACHE_ABS_KEY and use an identity",
    "ServerBusy": "the store throttles: the account has too many requests",
    401: "credentials are missing or refused: set IMGFORGE_CACHE_ABS_KEY, or an identity",
    403: "access is denied: check IMGFORGE_CACHE_ABS_KEY, or give the identity the role Storage Blob Data Contributor",
    503: "the store is overloaded or down",
}


class AzureObjects:
    """See `ObjectKind`."""

    def __init__(self, settings: AzureSettings, container: str, credentials: AzureCredentials) -> None:
        self.where = f"abs://{container}"
        self._credentials = credentials
        endpoint = urlsplit(azure_endpoint(settings))
        self._origin = f"{endpoint.scheme}://{endpoint.netloc}"
        self._container = f"{endpoint.path}/{quote(container, safe='$')}"

    async def get(self, name: str, size: int = 0) -> OriginRequest:
        return await self._request("GET", name, headers={"range": f"bytes=0-{size - 1}"} if size else {})

    async def head(self, name: str) -> OriginRequest:
        return await self._request("HEAD", name)

    async def put(self, name: str, body: bytes, content_type: str, lifetime: float) -> OriginRequest:  # noqa: ARG002
        headers = {"x-ms-blob-type": "BlockBlob", "content-type": content_type}
        if body:  # no body is signed as no length
            headers["content-length"] = str(len(body))
        return await self._request("PUT", name, headers=headers, body=body)

    async def remove(self, name: str) -> OriginRequest:
        return await self._request("DELETE", name)

    async def list(self, prefix: str, marker: str, most: int) -> OriginRequest:
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(most)}
        if marker:
            query["marker"] = marker
        return await self._request("GET", "", query)

    def size(self, response: ServiceResponse) -> int:
        return size_of(response.headers.get("content-length", ""))

    def page(self, response: ServiceResponse, most: int) -> ObjectPage:  # noqa: ARG002
        root = parsed_xml(response.body)
        found = [
            StoredObject(
                text_of(blob, "Name"),
                size_of(text_of(properties, "Content-Length")),
                seconds_of_date(text_of(properties, "Last-Modified")),
            )
            for blobs in elements(root, "Blobs")
            for blob in elements(blobs, "Blob")
            for properties in elements(blob, "Properties")
        ]
        return ObjectPage(found, text_of(root, "NextMarker"))

    async def learn_from(self, refusal: Refusal) -> bool:
        return await self._credentials.learn_from(refusal, self.code(refusal))

    def code(self, refusal: Refusal) -> str:
        return azure_error_code(refusal)

    def explain(self, refusal: Refusal) -> str:
        return _CURES.get(self.code(refusal)) or _CURES.get(refusal.status, "")

    async def _request(
        self,
        method: str,
        name: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> OriginRequest:
        path = f"{self._container}/{quote(name, safe='')}" if name else self._container
        asked = query or {}
        sent = {**(headers or {}), "x-ms-version": API_VERSION}
        await self._credentials.authorize(path, asked, sent, method)
        parameters = "&".join(f"{key}={quote(value, safe='')}" for key, value in asked.items())
        url = f"{self._origin}{path}" + (f"?{parameters}" if parameters else "")
        return OriginRequest(url, sent, body=body, method=method)


def azure_objects(
    reactor: IServerReactor, settings: SourceSettings, azure: AzureSettings, use: BucketUse
) -> ObjectStore:
    """The store of *use*; see `open_object_store`."""
    credentials, tokens = azure_credentials(reactor, azure, for_cache=True)
    return ObjectStore(reactor, settings, AzureObjects(azure, use.bucket, credentials), use.timeout, tokens)
