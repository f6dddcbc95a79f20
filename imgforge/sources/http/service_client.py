"""Requests to services beside the origins, such as those that give tokens: small answers, read whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred

from imgforge.errors import OriginFailed
from imgforge.interfaces import IServerReactor
from imgforge.sources.address_policy import EVERY_ADDRESS
from imgforge.sources.http.body import collect, discard
from imgforge.sources.http.client import OriginClient
from imgforge.sources.http.deadline import Deadline
from imgforge.sources.http.encoding import is_unreadable
from imgforge.sources.http.origin_request import OriginRequest
from imgforge.sources.http.response_headers import joined_headers
from imgforge.sources.settings import SourceSettings

__all__ = ["ServiceClient", "ServiceResponse"]

_LONGEST_BODY = 1024 * 1024  # bytes; a Keystone with many services has a catalogue of some 100 KiB
_SHARE = 0.75  # of IMGFORGE_DOWNLOAD_TIMEOUT: the fetch that waits for the service has to fail after it, not before


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """What a service answered, whatever the status."""

    status: int
    headers: Mapping[str, str]  # names in lower case, printable ASCII
    body: bytes


class ServiceClient:
    """Sends requests to services that the operator configured: every address is allowed.

    No connection is kept: such requests are rare.
    """

    def __init__(self, reactor: IServerReactor, settings: SourceSettings) -> None:
        self._reactor = reactor
        self._timeout = _SHARE * settings.download_timeout
        self._client = OriginClient(reactor, replace(settings, addresses=EVERY_ADDRESS, keep_alive_timeout=0))

    def ask(self, request: OriginRequest) -> Deferred[ServiceResponse]:
        """The response to *request*; redirects are not followed.

        `OriginFailed` where the service cannot be reached or breaks off, `OriginTimeout` where it is late,
        `SourceTooLarge` where it answers more than a MiB.
        """
        return Deadline(self._reactor, self._timeout).run(self._ask(request))

    def close(self) -> Deferred[None]:
        """Close what connections there are."""
        return self._client.close()

    async def _ask(self, request: OriginRequest) -> ServiceResponse:
        response = await self._client.get(request)
        if is_unreadable(response):
            discard(response)
            raise OriginFailed("the service uses a content encoding that cannot be read")
        body = await collect(response, _LONGEST_BODY)
        return ServiceResponse(response.code, joined_headers(response), body)
