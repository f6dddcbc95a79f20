"""Pre-rendering over HTTP: images to make beforehand are queued, and what became of them is told.

`POST /render`, `GET /render/<id>`, and `POST /events` for the notifications of stores.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.server import Request

from imgforge.errors import BadRequest, BadToken, ImgforgeError, NotFound
from imgforge.observability import shown_source
from imgforge.queue import (
    BROWSER_ACCEPT,
    MOST_PATHS,
    Intake,
    JobQueue,
    NotAnEvent,
    QueueStatus,
    RenderJob,
    created_objects,
    jobs_of,
    new_request_id,
)
from imgforge.web.http import Answer, BearerGate, record_of, whole_body
from imgforge.web.routes import EVENTS, Route, origin_form

__all__ = ["EventsEndpoint", "OnThread", "RenderEndpoint", "RenderGate", "RenderStatusEndpoint", "prerendering_off"]

_BODY = '{"paths": [PATH, ...]} or {"source": URL}'
_LONGEST_ID = 64

# Calls a function on a thread.
OnThread = Callable[..., Deferred[Any]]


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /render."""

    paths: Annotated[list[str], msgspec.Meta(max_length=MOST_PATHS)] = []
    source: str = ""
    accept: Annotated[str, msgspec.Meta(max_length=1024)] = BROWSER_ACCEPT


_read = msgspec.json.Decoder(_Order).decode


class RenderGate(BearerGate):
    """Admits requests with the secret for pre-rendering; without a secret, none."""

    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        self._secret = secret.encode()

    def check(self, authorization: bytes | None) -> None:
        """Raises `BadToken` if pre-rendering is off or *authorization* is wrong."""
        if not self.expected:
            raise BadToken("pre-rendering is off: the server has no IMGFORGE_RENDER_SECRET")
        super().check(authorization)

    def check_sender(self, request: Request) -> None:
        """The same for senders that cannot send a bearer token: the secret is the password of Basic, or `?token=`.

        The record of *request*, by which it is logged, has no query at this path: see `Server`.
        """
        query = request.uri.partition(b"?")[2]
        authorization = request.getHeader(b"authorization") or b""
        scheme, _, credentials = authorization.partition(b" ")
        try:
            if scheme.lower() == b"basic":
                self._check_secret(base64.b64decode(credentials, validate=True).partition(b":")[2])
                return
            token = parse_qs(query, max_num_fields=8).get(b"token")
        except (binascii.Error, ValueError):
            token = None
        if token:
            self._check_secret(token[0])
            return
        self.check(authorization)

    def _check_secret(self, offered: bytes) -> None:
        if not self._secret or not hmac.compare_digest(offered, self._secret):
            self.check(None)


def prerendering_off() -> list[Route]:
    """The routes of a server without a secret for pre-rendering: what they refuse names the setting."""
    gate = RenderGate("")

    async def refuse(_: Request) -> Answer:
        gate.check(None)
        raise NotFound("there is nothing here")  # not reached

    return [Route(path, path.decode(), refuse, methods=(b"POST",)) for path in (b"/render", EVENTS)]


class RenderEndpoint:
    """`POST /render`: queues images by their paths, or all presets of an original."""

    def __init__(self, gate: RenderGate, intake: Intake, queue: JobQueue, on_thread: OnThread) -> None:
        self._gate = gate
        self._intake = intake
        self._queue = queue
        self._on_thread = on_thread

    async def __call__(self, request: Request) -> Answer:
        """202 with the id of the request. Raises `BadRequest` for a body or a path that cannot be queued."""
        self._gate.check(request.getHeader(b"authorization"))
        order = _order(whole_body(request))
        if order.source:
            paths = self._intake.paths_of(order.source)
        else:
            paths = order.paths
            self._intake.check_all(paths)
        jobs = jobs_of(paths, order.accept, new_request_id(len(paths)))
        traceparent = dict(record_of(request).propagated).get("traceparent", "")
        await self._on_thread(self._queue.add, jobs, traceparent)
        return _json(202, {"id": jobs[0].request, "queued": len(jobs)})


def _order(body: bytes) -> _Order:
    try:
        order = _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body must be the JSON object {_BODY}: {error}") from None
    if bool(order.paths) == bool(order.source):
        raise BadRequest(f"the body must be {_BODY}, with at least one path")
    return order


class RenderStatusEndpoint:
    """`GET /render/<id>`: what became of the images of a request."""

    def __init__(self, gate: RenderGate, queue: JobQueue, on_thread: OnThread) -> None:
        self._gate = gate
        self._queue = queue
        self._on_thread = on_thread

    async def __call__(self, request: Request) -> Answer:
        """Counts and failures. Raises `NotFound` for an unknown id."""
        self._gate.check(request.getHeader(b"authorization"))
        name = origin_form(request.uri).partition(b"?")[0].rpartition(b"/")[2].decode("ascii", "replace")
        status: QueueStatus | None = None
        if len(name) <= _LONGEST_ID:
            status = await self._on_thread(self._queue.request, name)
        if status is None:
            raise NotFound("there is no such request, or it is too long ago")
        return _json(200, {"id": name, **msgspec.to_builtins(status)})


class EventsEndpoint:
    """`POST /events`: queues all presets of the objects that a store's notification says were created."""

    log = Logger()

    def __init__(self, gate: RenderGate, intake: Intake, queue: JobQueue, on_thread: OnThread) -> None:
        self._gate = gate
        self._intake = intake
        self._queue = queue
        self._on_thread = on_thread

    async def __call__(self, request: Request) -> Answer:
        """202 with the number of queued images; stores send again what is answered otherwise."""
        self._gate.check_sender(request)
        body = whole_body(request)
        try:
            sources = created_objects(body)
        except NotAnEvent as error:
            raise BadRequest(str(error)) from None
        self._show_confirmation(body)
        jobs: list[RenderJob] = []
        for source in sources:
            try:
                jobs += jobs_of(self._intake.paths_of(source))
            except ImgforgeError as error:  # it would be no better the next time
                self.log.info("no image is made of {source}: {line}", source=shown_source(source), line=error.logged)
        if jobs:
            await self._on_thread(self._queue.add, [msgspec.structs.replace(job, request="") for job in jobs])
        return _json(202, {"queued": len(jobs)})

    def _show_confirmation(self, body: bytes) -> None:
        """SNS wants a URL to be opened before it sends anything: that is the operator's decision."""
        if b"SubscriptionConfirmation" in body:
            document = json.loads(body)
            if document.get("Type") == "SubscriptionConfirmation":
                self.log.warn(
                    "SNS asks whether it may send notifications: open {url!r} to confirm",
                    url=document.get("SubscribeURL"),
                )


def _json(status: int, document: dict[str, Any]) -> Answer:
    headers = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")]
    return Answer(status, headers, msgspec.json.encode(document) + b"\n")
