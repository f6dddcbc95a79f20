"""Azure Blob Storage as a kind of origin: `abs://container/blob?version`.

The blob's name is one segment of the path, with each slash escaped: no URL reaches another container, and `a//b` stays
what it is. Azure reads dot segments in names as those of a path, so that names with them are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from zope.interface import implementer

from imgforge.errors import SourceNotFound
from imgforge.interfaces import IServerReactor, ISourceFactory
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import AzureSettings
from imgforge.sources.stores.azure_credentials import (
    AzureCredentials,
    SharedKey,
    TokenCredentials,
    account_key,
    token_loader,
)
from imgforge.sources.stores.conditional_requests import understood_headers
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.credentials_threads import keeper_on_threads
from imgforge.sources.stores.error_codes import error_code, explanation
from imgforge.sources.stores.object_url import ObjectName, object_name
from imgforge.sources.stores.setting_mistakes import StoreMistake, endpoint_url
from imgforge.sources.stores.store_source import StoreSource

__all__ = [
    "API_VERSION",
    "AzureFactory",
    "AzureStore",
    "azure_credentials",
    "azure_endpoint",
    "azure_error_code",
    "check_account",
    "check_azure",
]

API_VERSION = "2020-10-02"  # has versions of blobs; Azure's services and appliances know it
_CONTAINER = re.compile(r"\$root|\$web|\$logs|[a-z0-9][a-z0-9-]{2,62}")
_SEPARATORS = re.compile(r"[/\\]")
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")

# What the operator can do, by the store's word or else by the status.
_CURES: dict[str | int, str] = {
    "ContainerNotFound": "the container does not exist: check its name, and IMGFORGE_ABS_NAME",
    "AuthenticationFailed": "the signature is refused: check IMGFORGE_ABS_NAME, IMGFORGE_ABS_KEY and the clock",
    "AuthorizationPermissionMismatch": "access is denied: give the identity the role Storage Blob Data Reader",
    "AuthorizationFailure": "access is denied: check IMGFORGE_ABS_KEY, and the storage account's firewall",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: unset IMGFORGE_ABS_KEY and use an identity",
    "InvalidAuthenticationInfo": "the token is refused: check the identity's tenant and IMGFORGE_ABS_NAME",
    "BlobArchived": "the blob is archived: rehydrate it to the tier hot or cool",
    "AccountIsDisabled": "the storage account is disabled",
    "ServerBusy": "the store throttles: the account or the blob has too many requests",
    401: "credentials are missing or refused: set IMGFORGE_ABS_KEY, or an identity",
    403: "access is denied: check IMGFORGE_ABS_KEY, or the role of the identity",
    429: "the store throttles: too many requests",
    503: "the store is overloaded or down",
}


@implementer(IOriginKind)
class AzureStore:
    """Makes requests for blobs, which *credentials* authorize."""

    follows_redirects = False

    def __init__(self, settings: AzureSettings, credentials: AzureCredentials, retries: int, separator: str) -> None:
        self.retries = retries
        self._containers = settings.buckets
        self._credentials = credentials
        self._separator = separator
        endpoint = urlsplit(azure_endpoint(settings))
        self._origin = f"{endpoint.scheme}://{endpoint.netloc}"
        self._prefix = endpoint.path  # "/account" where the host does not name the account
        self.endpoints: tuple[str, ...] = (self._origin,)

    def checked(self, url: str) -> str:
        """*url* itself; see `IOriginKind`."""
        name = self._name(url)
        self._containers.check(name.bucket)
        segments = _SEPARATORS.split(name.key)
        if not _CONTAINER.fullmatch(name.bucket) or "." in segments or ".." in segments:
            raise SourceNotFound("the source's URL names no valid container or blob of Azure Blob Storage")
        return url

    def origin_of(self, url: str) -> str:
        """The container."""
        return f"abs://{self._name(url).bucket}"

    async def request_for(self, url: str, headers: Mapping[str, str]) -> OriginRequest:
        """See `IOriginKind`."""
        name = self._name(url)
        path = f"{self._prefix}/{quote(name.bucket, safe='$')}/{quote(name.key, safe='')}"
        # As in imgproxy, what is no version is none: it may be there to get around a cache.
        query = {"versionid": name.version} if _VERSION.fullmatch(name.version) else {}
        sent = understood_headers(headers) | {"x-ms-version": API_VERSION}
        await self._credentials.authorize(path, query, sent)
        asked = "".join(f"?{key}={quote(value, safe='')}" for key, value in query.items())
        return OriginRequest(f"{self._origin}{path}{asked}", sent)

    async def learn_from(self, url: str, refusal: Refusal) -> bool:  # noqa: ARG002
        """Whether there is another token, or the clock has been corrected."""
        return await self._credentials.learn_from(refusal, azure_error_code(refusal))

    def rejects_credentials(self, refusal: Refusal) -> bool:
        """See `IOriginKind`."""
        return refusal.status == 401

    def explain(self, refusal: Refusal) -> str:
        """See `IOriginKind`; nothing of a blob that is just missing."""
        return explanation(refusal.status, azure_error_code(refusal), _CURES)

    def _name(self, url: str) -> ObjectName:
        return object_name(url, self._separator)


def azure_endpoint(settings: AzureSettings) -> str:
    """The URL below which containers are; `StoreMistake` where the settings name none."""
    if settings.endpoint:
        return endpoint_url("IMGFORGE_ABS_ENDPOINT", settings.endpoint)
    if not settings.account:
        raise StoreMistake("IMGFORGE_USE_ABS needs IMGFORGE_ABS_NAME, the name of the storage account")
    return f"https://{settings.account}.blob.core.windows.net"


def azure_error_code(refusal: Refusal) -> str:
    """Azure's word for why it refused, of letters and digits only; "" where it says none."""
    return re.sub(r"[^A-Za-z0-9]", "", refusal.headers.get("x-ms-error-code", "")[:64]) or error_code(refusal)


def check_account(azure: AzureSettings) -> None:
    """`StoreMistake` where the account cannot be used."""
    azure_endpoint(azure)
    if azure.key:
        account_key(azure)
    else:
        token_loader()


def check_azure(settings: SourceSettings) -> None:
    """`StoreMistake` where *settings* switch Azure Blob Storage on, but cannot be used."""
    if settings.azure is not None:
        check_account(settings.azure)


def azure_credentials(
    reactor: IServerReactor, azure: AzureSettings, for_cache: bool = False
) -> tuple[AzureCredentials, CredentialsKeeper[str] | None]:
    """The credentials of the account, and the keeper of its tokens that has to be closed, where there is one."""
    if azure.key:
        return SharedKey(reactor, azure.account, account_key(azure)), None
    tokens = keeper_on_threads(reactor, "abs", token_loader(), for_cache)
    tokens.start()
    return TokenCredentials(reactor, tokens), tokens


@implementer(ISourceFactory)
class AzureFactory:
    """Makes the source of abs:// URLs."""

    schemes = ("abs",)

    def make(self, reactor: IServerReactor, settings: Any) -> StoreSource | None:
        """See `ISourceFactory`; `StoreMistake` where the settings cannot be used."""
        check_azure(settings)
        azure = settings.azure
        if azure is None:
            return None
        credentials, tokens = azure_credentials(reactor, azure)
        store = AzureStore(azure, credentials, settings.store_retries, settings.query_separator)
        return StoreSource(reactor, settings, store, tokens)
