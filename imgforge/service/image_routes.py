"""The routes of images, of facts about images, and of purges of both."""

from __future__ import annotations

from imgforge.service.work_routes import IMAGES, INFO
from imgforge.web import ImageEndpoint, ImageServices, InfoEndpoint, PurgeEndpoint, PurgeGate, PurgePathEndpoint, Route

__all__ = ["image_routes"]

_PURGE = "/cache/purge"


def image_routes(services: ImageServices, purge_secret: str) -> tuple[Route, ...]:
    """The routes, of which the last ones match every path; *purge_secret* is the bearer token of purges."""
    parser, pipeline, purging = services.parser, services.pipeline, PurgeGate(purge_secret)
    purge_image = PurgePathEndpoint(purging, parser.parse, pipeline)
    purge_info = PurgePathEndpoint(purging, parser.parse_info, pipeline)
    return (
        Route(b"/info/", INFO, InfoEndpoint(services), prefix=True),
        Route(b"/info/", INFO, purge_info, prefix=True, methods=(b"PURGE",)),
        Route(_PURGE.encode(), _PURGE, PurgeEndpoint(purging, pipeline), methods=(b"POST",)),
        Route(b"", IMAGES, ImageEndpoint(services), prefix=True),
        Route(b"", IMAGES, purge_image, prefix=True, methods=(b"PURGE",)),
    )
