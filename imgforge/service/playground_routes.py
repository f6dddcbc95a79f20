"""The routes of the playground: its page at `/`, signatures where the operator started it for that, explanations."""

from __future__ import annotations

from typing import Any

from imgforge.config import Settings
from imgforge.demo import (
    DemoEndpoint,
    Explain,
    ExplainEndpoint,
    PlaygroundGate,
    PlaygroundSettings,
    SignEndpoint,
)
from imgforge.interfaces import IServerReactor
from imgforge.urls import Signer
from imgforge.web import Route

__all__ = ["playground_routes"]

_SIGN = b"/playground/sign"
_EXPLAIN = b"/playground/explain"


def playground_routes(reactor: IServerReactor, settings: Settings, token: str) -> list[Route]:
    """The routes of the page and of what it asks for; with a *token*, URLs are signed for the page that has it.

    Without a token nothing is signed: that is the page of a server that is tried out, which takes unsigned URLs.
    """
    gate = PlaygroundGate(token)
    signs = bool(token and settings.key)
    page = DemoEndpoint(reactor, _page_settings(settings, signs, token), gate)
    explaining = ExplainEndpoint(reactor, gate, _explainer(settings))
    routes = [
        Route(b"/", "/", page),
        Route(b"", "/", page),
        Route(_EXPLAIN, _EXPLAIN.decode(), explaining, methods=(b"POST",)),
    ]
    if signs:
        signer = Signer(settings.key[0], settings.salt[0], settings.signature_size)
        routes.append(Route(_SIGN, _SIGN.decode(), SignEndpoint(gate, signer.sign), methods=(b"POST",)))
    return routes


def _page_settings(settings: Settings, signs: bool, token: str) -> PlaygroundSettings:
    return PlaygroundSettings(
        signs=signs,
        needs_token=bool(token and settings.secret),
        samples=not settings.base_url,  # which would be put in front of their URLs
        root=settings.local_filesystem_root,
        query_separator=settings.source_url_query_separator,
        arguments_separator=settings.arguments_separator,
        presets=tuple(settings.presets),
        only_presets=settings.only_presets,
        allowed_options=settings.allowed_processing_options,
        security_options=settings.allow_security_options,
        bypass_cache=settings.allow_bypass_cache,
    )


def _explainer(settings: Settings) -> Explain:
    """What explains a path to a client with an Accept header."""

    def explain_path(path: str, accept: str, size: tuple[int, int] | None) -> Any:
        from imgforge.service.explanation import explain

        return explain(settings, path, accept=accept, size=size, samples=True).as_json()

    return explain_path
