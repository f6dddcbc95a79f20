"""Google Cloud Storage as a kind of origin: `gs://bucket/object?generation`.

Google's own hosts are asked through the XML API, which documents what a proxy needs of a GET: both conditions, 304,
`ETag` and `Last-Modified`. Any other endpoint, such as an emulator, is asked through the JSON API (`alt=media`), which
emulators serve whatever the host in the URL is. In both the object's name is one segment of the path, with each slash
escaped, so that `a/../b` and `a//b` stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from zope.interface import implementer

from imgforge.errors import SourceNotFound, SourceRefused
from imgforge.interfaces import IServerReactor, ISourceFactory
from imgforge.sources.climbing_path import climbs_out
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import GcsSettings
from imgforge.sources.stores.conditional_requests import understood_headers
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.credentials_threads import keeper_on_threads
from imgforge.sources.stores.error_codes import error_code, explanation
from imgforge.sources.stores.gcs_credentials import endpoint_of, is_google, needs_token, token_loader
from imgforge.sources.stores.object_url import ObjectName, object_name
from imgforge.sources.stores.store_source import StoreSource

__all__ = ["GcsFactory", "GcsStore", "check_gcs"]

_JSON_API = "/storage/v1"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,221}")
_GENERATION = re.compile(r"[1-9][0-9]{0,18}")

# What the operator can do, by the store's word or else by the status.
_CURES: dict[str | int, str] = {
    "NoSuchBucket": "the bucket does not exist: check its name, and IMGFORGE_GCS_ENDPOINT",
    "UserProjectMissing": "the bucket makes requesters pay, which is not supported",
    "AccountProblem": "the account of the bucket's project has a problem: see the console of Google Cloud",
    401: "credentials are missing or refused: check IMGFORGE_GCS_KEY or GOOGLE_APPLICATION_CREDENTIALS",
    403: "access is denied: grant the service account roles/storage.objectViewer on the bucket",
    429: "the store throttles: too many requests for the bucket",
    503: "the store is overloaded or down",
}


@implementer(IOriginKind)
class GcsStore:
    """Makes requests for objects; without *tokens* they are sent unauthenticated."""

    follows_redirects = False

    def __init__(
        self, settings: GcsSettings, tokens: CredentialsKeeper[str] | None, retries: int, separator: str
    ) -> None:
        self.retries = retries
        self._buckets = settings.buckets
        self._tokens = tokens
        self._separator = separator
        endpoint = endpoint_of(settings)
        self._endpoint = endpoint.removesuffix(_JSON_API)
        self._is_google = is_google(endpoint)
        self.endpoints: tuple[str, ...] = (self._endpoint,)

    def checked(self, url: str) -> str:
        """*url* itself; see `IOriginKind`."""
        name = self._name(url)
        self._buckets.check(name.bucket)
        if not _BUCKET.fullmatch(name.bucket) or name.key in {".", ".."}:
            raise SourceNotFound("the source's URL names no valid bucket or object of Google Cloud Storage")
        if not self._is_google and climbs_out(name.key):  # a proxy before an emulator may unescape the slashes
            raise SourceRefused("the source's object leads out of its bucket")
        return url

    def origin_of(self, url: str) -> str:
        """The bucket."""
        return f"gs://{self._name(url).bucket}"

    async def request_for(self, url: str, headers: Mapping[str, str]) -> OriginRequest:
        """See `IOriginKind`."""
        sent = understood_headers(headers)
        if self._tokens is not None:
            sent["authorization"] = await self._tokens.get()
        return OriginRequest(self._wire_url(self._name(url)), sent)

    async def learn_from(self, url: str, refusal: Refusal) -> bool:  # noqa: ARG002
        """Whether there is another token than one that was refused."""
        if refusal.status != 401 or self._tokens is None:
            return False
        return await self._tokens.replace(refusal.request.headers["authorization"])

    def rejects_credentials(self, refusal: Refusal) -> bool:
        """See `IOriginKind`."""
        return refusal.status == 401

    def explain(self, refusal: Refusal) -> str:
        """See `IOriginKind`; nothing of an object that is just missing."""
        return explanation(refusal.status, error_code(refusal), _CURES)

    def _name(self, url: str) -> ObjectName:
        return object_name(url, self._separator)

    def _wire_url(self, name: ObjectName) -> str:
        bucket, key = quote(name.bucket, safe=""), quote(name.key, safe="")
        # As in imgproxy, what is no generation is none: it may be there to get around a cache.
        generation = name.version if _GENERATION.fullmatch(name.version) else ""
        if self._is_google:
            query = f"?generation={generation}" if generation else ""
            return f"{self._endpoint}/{bucket}/{key}{query}"
        query = f"&generation={generation}" if generation else ""
        return f"{self._endpoint}{_JSON_API}/b/{bucket}/o/{key}?alt=media{query}"


def check_gcs(settings: SourceSettings) -> None:
    """`StoreMistake` where *settings* switch Google Cloud Storage on, but cannot be used."""
    gcs = settings.gcs
    if gcs is not None:
        endpoint_of(gcs)
        if needs_token(gcs):
            token_loader(gcs.key)


@implementer(ISourceFactory)
class GcsFactory:
    """Makes the source of gs:// URLs."""

    schemes = ("gs",)

    def make(self, reactor: IServerReactor, settings: Any) -> StoreSource | None:
        """See `ISourceFactory`; `StoreMistake` where the settings cannot be used."""
        check_gcs(settings)
        gcs = settings.gcs
        if gcs is None:
            return None
        tokens = None
        if needs_token(gcs):
            tokens = keeper_on_threads(reactor, "gs", token_loader(gcs.key))
            tokens.start()
        store = GcsStore(gcs, tokens, settings.store_retries, settings.query_separator)
        return StoreSource(reactor, settings, store, tokens)
