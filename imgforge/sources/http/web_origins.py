"""The web as a kind of origin: any URL, no signature, redirects are followed."""

from __future__ import annotations

from collections.abc import Mapping

from zope.interface import implementer

from imgforge.sources.http.origin_request import IOriginKind, OriginRequest, Refusal
from imgforge.sources.http.refusal_text import refusal_text
from imgforge.sources.http.wire_url import wire_url
from imgforge.sources.settings import SourceSettings

__all__ = ["WebOrigins"]


@implementer(IOriginKind)
class WebOrigins:
    """Sends what the URL says. URLs are wire URLs."""

    follows_redirects = True

    def __init__(self, settings: SourceSettings) -> None:
        self.retries = settings.retries
        self.endpoints = settings.preconnect_urls

    def checked(self, url: str) -> str:
        """The wire URL."""
        return wire_url(url)

    def origin_of(self, url: str) -> str:
        """Scheme, host and port."""
        return "/".join(url.split("/", 3)[:3])

    async def request_for(self, url: str, headers: Mapping[str, str]) -> OriginRequest:
        """See `IOriginKind`."""
        return OriginRequest(url, headers)

    async def learn_from(self, url: str, refusal: Refusal) -> bool:  # noqa: ARG002
        """Nothing: a refusal of the web is one."""
        return False

    def rejects_credentials(self, refusal: Refusal) -> bool:  # noqa: ARG002
        """Never: this server has no credentials on the web."""
        return False

    def explain(self, refusal: Refusal) -> str:
        """The beginning of what the origin says."""
        return refusal_text(refusal)
