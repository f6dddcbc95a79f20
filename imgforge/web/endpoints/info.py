"""The endpoint /info."""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.web.server import Request

from imgforge.model import SourceImage
from imgforge.web.endpoints.image_services import ImageServices
from imgforge.web.http import Answer, OriginTerms, cache_headers, cache_tag_headers, record_of

__all__ = ["InfoEndpoint"]


class InfoEndpoint:
    """`/info/<signature>/<options>/<source>`: facts about the source, as JSON."""

    def __init__(self, services: ImageServices) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Answer:
        """The fields are those that the options name; caches may store them as long as the image."""
        services = self._services
        image = services.admit(request, services.parser.parse_info)
        services.rates.of(request)()
        passed, vary = services.passthrough.of(request, image.source)
        terms = OriginTerms()

        def note_terms(head: SourceImage) -> None:
            nonlocal terms
            terms = OriginTerms(head.cache_control, head.expires, head.asked_at)

        info = await services.pipeline.info(replace(image, passed=passed), record_of(request), note_terms)
        headers = cache_headers(terms, image.delivery, services.answers, services.clock.seconds())
        headers += cache_tag_headers(image.delivery, services.answers)
        headers += [(b"Vary", b", ".join(vary))] if vary else []
        return Answer(200, [(b"Content-Type", b"application/json"), *headers], json.dumps(info).encode("ascii"))
