"""The services that the endpoints of images and of /info share, and how they read a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from imgforge.model import ImageRequest, InfoRequest
from imgforge.observability import shown_source
from imgforge.pipeline import Pipeline
from imgforge.urls import UrlParser
from imgforge.web.http import (
    AnswerSettings,
    BearerGate,
    ClientHints,
    ClientKey,
    Negotiation,
    Passthrough,
    only_if_cached,
    record_of,
)
from imgforge.web.rate_limit import Rates
from imgforge.web.routes import origin_form

__all__ = ["ImageServices"]

R = TypeVar("R", ImageRequest, InfoRequest)


@dataclass(frozen=True, slots=True)
class ImageServices:
    """All that `ImageEndpoint` and `InfoEndpoint` need."""

    clock: IReactorTime
    gate: BearerGate  # the bearer token
    parser: UrlParser
    pipeline: Pipeline
    rates: Rates  # how much work clients may cause
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    passthrough: Passthrough = field(default_factory=Passthrough)  # headers and cookies for origins
    negotiation: Negotiation = field(default_factory=Negotiation)
    key: ClientKey = field(default_factory=ClientKey)  # headers and cookies in the cache key
    hints: ClientHints = field(default_factory=ClientHints)

    def checked(self, request: Request, parse: Callable[[bytes], R]) -> R:
        """What *parse* reads in the target of *request*, if its signature, token and expiry are good.

        Raises `BadToken`, `Expired`, or what *parse* raises.
        """
        image = parse(origin_form(request.uri))
        record = record_of(request)
        record.image, record.source = image, shown_source(image.source)
        record.only_cached = only_if_cached(request)
        self.gate.check(request.getHeader(b"authorization"))
        image.delivery.check_expiry(self.clock.seconds())
        return image
