"""Requests for the objects of a store that imgforge itself reads, writes, deletes and lists."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.web.iweb import IResponse

from imgforge.errors import ImgforgeError, OriginFailed, SourceTooLarge
from imgforge.interfaces import IServerReactor
from imgforge.sources.address_policy import EVERY_ADDRESS
from imgforge.sources.http.body import collect, discard
from imgforge.sources.http.client import OriginClient
from imgforge.sources.http.connection_limit import ConnectionLimit
from imgforge.sources.http.encoding import is_unreadable
from imgforge.sources.http.origin_request import OriginRequest
from imgforge.sources.http.response_headers import joined_headers
from imgforge.sources.http.service_client import ServiceResponse
from imgforge.sources.settings import SourceSettings

__all__ = ["ObjectClient"]

_MOST_CONNECTIONS = 32
_LONGEST_REFUSAL = 64 * 1024  # bytes of an error's body that are read for its cause
_THROTTLING = frozenset({429, 503})


class ObjectClient:
    """Sends requests to the store that the operator configured, at most 32 at once: every address is allowed.

    HTTP/2 is not offered: stores speak HTTP/1.1, and a body may be longer than a window of HTTP/2.
    """

    def __init__(self, reactor: IServerReactor, settings: SourceSettings) -> None:
        self._clock = reactor
        self._client = OriginClient(
            reactor, replace(settings, addresses=EVERY_ADDRESS, http2=False, preconnect=0), quiet=True
        )
        self._limit = ConnectionLimit(reactor, "objects", _MOST_CONNECTIONS)

    async def ask(self, origin: str, request: OriginRequest, longest: int) -> ServiceResponse:
        """The response to *request*, with a body of at most *longest* bytes; redirects are not followed.

        Requests to one *origin* slow down where it throttles. `OriginFailed` where it cannot be reached or breaks off,
        `SourceTooLarge` for a longer body; that of a refusal is "" where it is longer than 64 KiB.
        """
        with ExitStack() as held:
            await self._limit.acquire(origin, held)
            began = self._clock.seconds()
            response = await self._client.get(request)
            if response.code in _THROTTLING:
                self._limit.throttled(origin, began)
            else:
                self._limit.answered(origin)
            body = await (self._body(response, longest) if 200 <= response.code < 300 else self._refusal(response))
            return ServiceResponse(response.code, joined_headers(response), body)

    def close(self) -> Deferred[None]:
        """Close the connections that are idle."""
        return self._client.close()

    async def _body(self, response: IResponse, longest: int) -> bytes:
        if is_unreadable(response):
            discard(response)
            raise OriginFailed("the store uses a content encoding that cannot be read")
        if isinstance(response.length, int) and response.length > longest:
            discard(response)
            raise SourceTooLarge(f"the object has {response.length} bytes, more than {longest}")
        return await collect(response, longest)

    async def _refusal(self, response: IResponse) -> bytes:
        try:
            return await collect(response, _LONGEST_REFUSAL)
        except ImgforgeError:  # the body is too long, or broke off: the status has to do
            return b""
