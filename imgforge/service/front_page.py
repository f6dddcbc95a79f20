"""What a server has at `/`: the playground while it is tried out, else a page for visitors or its version."""

from __future__ import annotations

from typing import NamedTuple

from imgforge import __version__
from imgforge.config import Settings
from imgforge.interfaces import IServerReactor, ISourceFactory
from imgforge.web import Route, landing_page, page_endpoint, plain_page

__all__ = ["FrontPage", "make_front_page"]


class FrontPage(NamedTuple):
    """The routes of the page, and the factories of the sources that only this page shows."""

    routes: list[Route]
    sources: list[ISourceFactory]


def make_front_page(reactor: IServerReactor, settings: Settings, playground_token: str) -> FrontPage:
    """The page of *settings*; with a token it is the playground, which signs URLs for the user who has it."""
    if playground_token or settings.embedded:
        from imgforge.demo import SampleFactory
        from imgforge.service.playground_routes import playground_routes

        return FrontPage(playground_routes(reactor, settings, playground_token), [SampleFactory()])
    page = page_endpoint(landing_page() if settings.landing_page else plain_page(__version__))
    return FrontPage([Route(b"/", "/", page), Route(b"", "/", page)], [])
