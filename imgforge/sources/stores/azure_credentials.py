"""How requests to Azure Blob Storage are authorized: with the account's key, or with a token of azure-identity."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Callable, Mapping
from email.utils import formatdate
from time import time
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from imgforge.model import seconds_of_http_date
from imgforge.sources.http import Refusal
from imgforge.sources.store_settings import AzureSettings
from imgforge.sources.stores.azure_signature import shared_key_authorization
from imgforge.sources.stores.credentials_keeper import CredentialsError, CredentialsKeeper, Loaded
from imgforge.sources.stores.setting_mistakes import StoreMistake, require
from imgforge.sources.stores.store_clock import StoreClock

__all__ = ["AzureCredentials", "SharedKey", "TokenCredentials", "account_key", "token_loader"]

_SCOPE = "https://storage.azure.com/.default"
_PATIENCE = 10.0  # seconds for one request to a token endpoint; azure-identity repeats it a few times


class AzureCredentials(Protocol):
    """Authorizes requests."""

    async def authorize(
        self, path: str, query: Mapping[str, str], headers: dict[str, str], method: str = "GET"
    ) -> None:
        """Add to *headers* what makes the store take a request for *path* and *query*, both as signed."""

    async def learn_from(self, refusal: Refusal, code: str) -> bool:
        """Whether the next request fares better after *refusal* with the store's word *code*."""


class SharedKey:
    """Signs with the *key* of *account*. A clock that is wrong is corrected by the store's."""

    def __init__(self, clock: IReactorTime, account: str, key: bytes) -> None:
        self._clock = StoreClock("abs", clock.seconds)
        self._account = account
        self._key = key

    async def authorize(
        self, path: str, query: Mapping[str, str], headers: dict[str, str], method: str = "GET"
    ) -> None:
        """See `AzureCredentials`."""
        headers["x-ms-date"] = formatdate(self._clock.seconds(), usegmt=True)
        headers["authorization"] = shared_key_authorization(self._account, self._key, path, query, headers, method)

    async def learn_from(self, refusal: Refusal, code: str) -> bool:
        """Whether the clock has been corrected: the store then took the request for an old one."""
        if refusal.status != 403 or code not in {"AuthenticationFailed", ""}:
            return False
        sent = seconds_of_http_date(refusal.request.headers["x-ms-date"])
        return sent is not None and self._clock.correct(refusal, sent)


class TokenCredentials:
    """Sends a token."""

    def __init__(self, clock: IReactorTime, tokens: CredentialsKeeper[str]) -> None:
        self._clock = clock
        self._tokens = tokens

    async def authorize(
        self,
        path: str,  # noqa: ARG002
        query: Mapping[str, str],  # noqa: ARG002
        headers: dict[str, str],
        method: str = "GET",  # noqa: ARG002
    ) -> None:
        """See `AzureCredentials`."""
        headers["x-ms-date"] = formatdate(self._clock.seconds(), usegmt=True)
        headers["authorization"] = await self._tokens.get()

    async def learn_from(self, refusal: Refusal, code: str) -> bool:  # noqa: ARG002
        """Whether there is another token than one that was refused."""
        if refusal.status != 401:
            return False
        return await self._tokens.replace(refusal.request.headers["authorization"])


def account_key(settings: AzureSettings) -> bytes:
    """The key of the storage account; `StoreMistake` for one that cannot be used."""
    if not settings.account:
        raise StoreMistake("IMGFORGE_ABS_KEY needs IMGFORGE_ABS_NAME, the name of the storage account")
    try:
        return b64decode(settings.key, validate=True)
    except ValueError:
        raise StoreMistake("IMGFORGE_ABS_KEY must be the account's key in base64") from None


def token_loader() -> Callable[[], Loaded[str]]:
    """A function that loads an Authorization header, and blocks meanwhile; `StoreMistake` without azure-identity."""
    require("IMGFORGE_USE_ABS without IMGFORGE_ABS_KEY", "azure.identity", "azure-identity", "azure")

    def load() -> Loaded[str]:
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import DefaultAzureCredential

        logging.getLogger("azure.identity").setLevel(logging.CRITICAL)  # what it logs is in its exceptions as well
        # Made anew each time, for it keeps its tokens until they expire, also those that the store refuses.
        with DefaultAzureCredential(connection_timeout=_PATIENCE, read_timeout=_PATIENCE, retry_total=2) as credential:
            try:
                token = credential.get_token(_SCOPE)
            except ClientAuthenticationError as error:
                raise CredentialsError(f"set IMGFORGE_ABS_KEY, or an identity: {_reasons(str(error))}") from None
        return Loaded(f"Bearer {token.token}", token.expires_on - time())

    return load


def _reasons(text: str) -> str:
    """What azure-identity says of each way to a token, those first that it found set up."""
    tried = [line.strip() for line in text.splitlines() if line.startswith("\t")]
    return "; ".join(sorted(tried, key=lambda line: "authentication unavailable" in line)) or text
