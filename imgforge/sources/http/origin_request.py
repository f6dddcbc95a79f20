"""What is sent to origins, and what `HttpSource` has to know of those that are more than a URL: object stores."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from zope.interface import Attribute, Interface

__all__ = ["IOriginKind", "OriginRequest", "Refusal"]


@dataclass(frozen=True, slots=True)
class OriginRequest:
    """A request as it goes over the wire."""

    url: str  # ASCII, with the path and query that are sent byte for byte
    headers: Mapping[str, str] = field(repr=False)  # names in lower case; they may be credentials, as the body
    new_connection: bool = False  # whether no connection that is open already will do: for retries and hedges
    body: bytes | None = field(default=None, repr=False)  # None sends no Content-Length either
    method: str = "GET"  # others are for services beside the origins, and for what is written to stores


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that brings no original."""

    request: OriginRequest
    status: int
    headers: Mapping[str, str] = field(
        repr=False
    )  # names in lower case; several lines of a header are joined by commas
    body: bytes = field(repr=False)  # at most 64 KiB; empty where it is longer or broken off


class IOriginKind(Interface):
    """A kind of origin: the web, or an object store. Connections, limits, retries and bodies are `HttpSource`'s."""

    follows_redirects: bool = Attribute("Whether the answers' redirects are followed, as on the web.")
    retries: int = Attribute("How many times a request that failed is sent again.")

    endpoints: tuple[str, ...] = Attribute("URLs of the origins to which connections are opened at the start.")

    def checked(url: str) -> str:
        """*url* as the other methods take it.

        `SourceNotFound` for an invalid URL, `SourceRefused` for one that the operator does not allow.
        """

    def origin_of(url: str) -> str:
        """What fails, is throttled and limited as one for *url*: "http://host:port" or "s3://bucket"."""

    def request_for(url: str, headers: Mapping[str, str]) -> Awaitable[OriginRequest]:
        """The request for the original at *url* with *headers* (names in lower case), signed where it has to be.

        *headers* are conditions, ranges and, on the web only, whatever else the operator passes on. Called anew for
        each try. Fails with an `ImgforgeError`; a store without valid credentials with `OriginFailed`.
        """

    def learn_from(url: str, refusal: Refusal) -> Awaitable[bool]:
        """Whether *refusal* told what the next request will do better: a region, the clock, an expired token.

        The request is then sent once more.
        """

    def rejects_credentials(refusal: Refusal) -> bool:
        """Whether the store rejects this server's credentials, and so says nothing of the original."""

    def explain(refusal: Refusal) -> str:
        """Why the request was refused, in one line for the operator's log; no secrets."""
