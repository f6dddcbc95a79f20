"""The endpoint /info."""

from __future__ import annotations

from dataclasses import replace

from twisted.web.server import Request

from imgforge.web.endpoints.image_services import ImageServices
from imgforge.web.endpoints.images import cache_status, time_to_live
from imgforge.web.http import Answer, cache_headers, cache_tag_headers, entry_terms, record_of

__all__ = ["InfoEndpoint"]


class InfoEndpoint:
    """`/info/<signature>/<options>/<source>`: facts about the source, as JSON."""

    def __init__(self, services: ImageServices) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Answer:
        """The fields are those that the options name; caches, ours too, may store them as long as the image."""
        services, record = self._services, record_of(request)
        wanted = services.checked(request, services.parser.parse_info)
        passed, passed_names = services.passthrough.of(request, wanted.source)
        take_token = services.rates.of(request)
        wanted, client = replace(wanted, passed=passed), services.key.of(request)
        if record.only_cached:
            result = await services.pipeline.cached(wanted, client=client)
        else:
            result = await services.pipeline.info(wanted, take_token, client=client, record=record)
        lifetime = time_to_live(result, services.clock.seconds()) if record.only_cached else ""
        status = cache_status(result) + lifetime
        headers = [(b"Cache-Status", status.encode("ascii"))]
        headers += cache_headers(entry_terms(result.entry), wanted.delivery, services.answers, services.clock.seconds())
        headers += cache_tag_headers(wanted.delivery, services.answers)
        vary = tuple(dict.fromkeys((*services.key.vary(), *passed_names)))
        headers += [(b"Vary", b", ".join(vary))] if vary else []
        return Answer(200, [(b"Content-Type", b"application/json"), *headers], result.entry.rendition.body)
