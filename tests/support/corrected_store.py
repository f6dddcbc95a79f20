"""A kind of origin that signs, refuses and learns, as object stores do, in front of an origin that a test scripts."""

from __future__ import annotations

from collections.abc import Mapping

from zope.interface import implementer

from imgforge.errors import SourceRefused
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from tests.support.scripted_origin import ScriptedOrigin

__all__ = ["CorrectedStore"]


@implementer(IOriginKind)
class CorrectedStore:
    """A store behind *origin*, whose signature is a header; a wrong region is corrected by the refusal's header."""

    follows_redirects = False
    retries = 2
    endpoints = ()

    def __init__(self, origin: ScriptedOrigin) -> None:
        self.origin = origin
        self.region = "here"
        self.refusals: list[Refusal] = []

    def checked(self, url: str) -> str:
        if "/secret/" in url:
            raise SourceRefused("the source's bucket is not among those that this server allows")
        return url

    def origin_of(self, url: str) -> str:
        return "/".join(url.split("/", 3)[:3])

    async def request_for(self, url: str, headers: Mapping[str, str]) -> OriginRequest:
        path = "/" + url.split("://")[1]
        return OriginRequest(self.origin.url(path), {**headers, "authorization": f"signed for {self.region}"})

    async def learn_from(self, url: str, refusal: Refusal) -> bool:
        self.refusals.append(refusal)
        region = refusal.headers.get("x-region", self.region)
        learnt, self.region = region != self.region, region
        return learnt

    def rejects_credentials(self, refusal: Refusal) -> bool:
        return b"ExpiredToken" in refusal.body

    def explain(self, refusal: Refusal) -> str:
        return refusal.body.decode()
