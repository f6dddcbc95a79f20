"""Purging over HTTP: `PURGE <path>` for one image or its facts, `POST /cache/purge` for a source, prefix or tag."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

import msgspec
from twisted.web.server import Request

from imgforge.cache import PurgeKind
from imgforge.errors import BadRequest, BadToken
from imgforge.model import ImageRequest, InfoRequest
from imgforge.pipeline import Pipeline
from imgforge.web.http import Answer, BearerGate, whole_body
from imgforge.web.routes import origin_form

__all__ = ["PurgeEndpoint", "PurgeGate", "PurgePathEndpoint"]

_KINDS = ("source", "tag", "prefix")
_BODY = '{"source": URL}, {"tag": TAG} or {"prefix": PREFIX}'
_read = msgspec.json.Decoder(dict[str, str]).decode


class PurgeGate(BearerGate):
    """Admits requests with the secret for purging; without a secret, none."""

    def check(self, authorization: bytes | None) -> None:
        """Raises `BadToken` if purging is off or *authorization* is wrong."""
        if not self.expected:
            raise BadToken("purging is off: the server has no IMGFORGE_PURGE_SECRET")
        super().check(authorization)


class PurgeEndpoint:
    """`POST /cache/purge`: all renditions of a source, of sources that begin alike, or with a cache tag."""

    def __init__(self, gate: PurgeGate, pipeline: Pipeline) -> None:
        self._gate = gate
        self._pipeline = pipeline

    async def __call__(self, request: Request) -> Answer:
        """The body is a JSON object with one member. Raises `BadRequest` for any other."""
        self._gate.check(request.getHeader(b"authorization"))
        try:
            [(kind, value)] = _read(whole_body(request)).items()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadRequest(f"the body must be the JSON object {_BODY}") from None
        except ValueError:
            raise BadRequest(f"the body must have one member: {_BODY}") from None
        if kind not in _KINDS or not value:
            raise BadRequest(f"the body must be {_BODY}, whose value is a text that is not empty")
        return _purged(await self._pipeline.purge(cast("PurgeKind", kind), value))


class PurgePathEndpoint:
    """`PURGE /<signature>/...` or `PURGE /info/<signature>/...`: what GET gives there, in the formats of all clients.

    *parse* reads the target.
    """

    def __init__(
        self, gate: PurgeGate, parse: Callable[[bytes], ImageRequest | InfoRequest], pipeline: Pipeline
    ) -> None:
        self._gate = gate
        self._parse = parse
        self._pipeline = pipeline

    async def __call__(self, request: Request) -> Answer:
        """The signature must be valid as well: only what GET may return can be purged."""
        self._gate.check(request.getHeader(b"authorization"))
        return _purged(await self._pipeline.purge_image(self._parse(origin_form(request.uri))))


def _purged(count: int) -> Answer:
    headers = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")]
    return Answer(200, headers, json.dumps({"purged": count}).encode("ascii") + b"\n")
