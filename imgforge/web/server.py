"""The resource that answers every request: it finds the endpoint, runs it, and writes a response for any outcome.

render ── request id ── route ── endpoint(request) ─┬─ Answer ── headers, body
                                                    ├─ STREAMED (the endpoint wrote it)
                                                    └─ error ── one line of text with its status
                                 each outcome is counted and logged once
"""

from __future__ import annotations

import contextvars
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from imgforge.errors import (
    BadPath,
    ClientRefused,
    ImgforgeError,
    MethodNotAllowed,
    NotCached,
    Overloaded,
    TooManyClients,
    Unreadable,
)
from imgforge.observability import (
    CLIENT_GONE,
    AccessLog,
    IRequestObserver,
    Metrics,
    RequestRecord,
    bind_request,
    logged_target,
    tell_begun,
    tell_ended,
)
from imgforge.urls import without_prefix
from imgforge.web.error_answers import (
    CLIENT_MISTAKES,
    REFUSALS,
    ErrorAnswers,
    error_answer,
    log_error,
    reference,
)
from imgforge.web.fast_lane import FastLane
from imgforge.web.http import (
    Answer,
    Clients,
    RequestInFlight,
    access_of,
    attach_record,
    joined_header,
    request_id,
)
from imgforge.web.in_flight import InFlight
from imgforge.web.routes import EVENTS, STREAMED, Route, origin_form, refusal

__all__ = ["Server", "ServerSettings", "error_answer"]

# The status in logs and metrics if the client left before its response (nginx's convention).
_GONE = "the client closed the connection"

# twisted.web has no phrases for 422, 429 and 431.
_PHRASES = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}

# The label in the metrics of requests without a path.
_NO_ROUTE = "other"

# A target whose query is in no record, and so in no log, whatever the request is answered with.
_WITH_SECRET = rb"((?:https?://[^/?]*)?(?:%s)?" + re.escape(EVENTS) + rb")\?"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The operator's settings for all responses."""

    headers: Sequence[tuple[bytes, bytes]] = ()  # sent with every response
    path_prefix: bytes = b""  # removed from the beginning of every path; without a slash at its end
    clients: Clients = field(default_factory=Clients)  # who a request comes from, and whether it is allowed
    not_found_ttl: int = 0  # seconds that caches in front of imgforge may store the 404 of a source
    # The answers of errors for developers; None for the line alone.
    development_errors: ErrorAnswers | None = None


class Server(Resource):
    """All paths of a listener. The first of *routes* that matches answers; the fast lane may repeat its response."""

    isLeaf = True
    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        routes: Sequence[Route],
        metrics: Metrics,
        access_log: AccessLog,
        settings: ServerSettings | None = None,
        fast_lane: FastLane | None = None,
        observers: Sequence[IRequestObserver] = (),
    ) -> None:
        super().__init__()
        self._clock = clock
        self._routes = tuple(routes)
        self._metrics = metrics
        self._access_log = access_log
        self._settings = settings or ServerSettings()
        self._fast_lane = fast_lane
        self._observers = tuple(observers)
        self._with_secret = re.compile(_WITH_SECRET % re.escape(self._settings.path_prefix), re.IGNORECASE)
        self.clients = self._settings.clients
        self.in_flight: InFlight[RequestInFlight] = InFlight()

    @property
    def active(self) -> int:
        """How many requests are in flight."""
        return len(self.in_flight)

    def render(self, request: Request) -> int:
        """Starts the response in a context of its own, in which every log line has the request's id."""
        contextvars.copy_context().run(self._start, request, self._route(request))
        return NOT_DONE_YET

    def refuse(self, request: Request, error: ImgforgeError) -> None:
        """Answers a request that could not be parsed, with the headers, log line and metrics of any other."""
        contextvars.copy_context().run(self._start, request, refusal(_NO_ROUTE, error))

    def _route(self, request: Request) -> Route:
        try:
            path = without_prefix(origin_form(request.path), self._settings.path_prefix)
        except BadPath as error:
            return refusal(_NO_ROUTE, error)
        first = next(route for route in self._routes if route.matches(path))
        same_paths = (one for one in self._routes if (one.path, one.prefix) == (first.path, first.prefix))
        route = next((one for one in same_paths if request.method in one.methods), None)
        if route is None:
            allow = [method.decode("ascii") for method in first.methods]
            message = f"the method must be {' or '.join(allow)} here"
            return refusal(first.label, MethodNotAllowed(message, ", ".join(allow)))
        if not route.always:
            try:
                self.clients.check(request)
            except ClientRefused as error:
                return refusal(route.label, error)
        channel: Any = request.channel
        if channel.spare and not route.always:
            return refusal(route.label, TooManyClients("this server has too many clients at the moment"))
        return route

    def _start(self, request: Request, route: Route) -> None:
        name = request_id(request.getHeader(b"x-request-id"))
        request.setHeader(b"X-Request-ID", name.encode("ascii"))
        for header in self._settings.headers:
            request.setHeader(*header)
        secret = self._with_secret.match(request.uri)
        record = RequestRecord(
            name,
            request.method.decode("latin-1"),
            request.uri if secret is None else secret[1],
            route.label,
            self.clients.of(request),
            self._clock.seconds(),
            "https" if request.isSecure() else "http",
        )
        bind_request(record)
        attach_record(request, record)
        exchange = RequestInFlight(request, record)
        self.in_flight.add(exchange)
        if self._observers:
            tell_begun(self._observers, record, lambda header: request.getHeader(header) or b"")
        answering = Deferred.fromCoroutine(self._answer(route, exchange))
        request.notifyFinish().addErrback(exchange.client_left, answering)

    async def _answer(self, route: Route, exchange: RequestInFlight) -> None:
        """The whole exchange, in one coroutine: a callback would run in the context of its caller."""
        try:
            try:
                answer = await route.endpoint(exchange.request)
            except Exception:
                answer = self._explain(Failure(), exchange)
            self._send(answer, exchange)
        except Exception:
            self.log.failure("cannot write the response: the connection is closed")
            exchange.record.status, exchange.record.level = 500, "error"
            exchange.request.loseConnection()
        try:
            self._account(exchange)
        finally:
            self.in_flight.discard(exchange)

    def _explain(self, failure: Failure, exchange: RequestInFlight) -> Answer:
        # The end of a connection cancels the stream before it is reported to the exchange.
        record = exchange.record
        if exchange.client_gone or (exchange.request.startedWriting and failure.check(CancelledError)):
            record.error = _GONE
            return Answer(CLIENT_GONE, [])
        record.failure = error = failure.value
        if isinstance(error, CancelledError):
            error = ImgforgeError("the request was cancelled")
        elif not isinstance(error, ImgforgeError):
            error, record.level = ImgforgeError("internal error"), "error"
            see = reference(error)["see"]
            method, target = record.method, logged_target(record.target)
            self.log.failure(
                "internal error: {method} {target}; see {see}", failure, method=method, target=target, see=see
            )
        else:
            level = self._level(error)
            if level is LogLevel.warn:
                record.level = "warn"
            log_error(self.log, level, error, record)
        record.error = error.logged
        if type(error) in REFUSALS:
            self._metrics.refused(REFUSALS[type(error)])
        answer = error_answer(error, self._settings.not_found_ttl)
        development = self._settings.development_errors
        return answer if development is None else development(answer, error, failure, exchange.request)

    def _level(self, error: ImgforgeError) -> Any:
        """Failures of origins are warnings. Mistakes of clients are in the access log, if there is one."""
        if error.status >= 500 and not isinstance(error, (NotCached, Overloaded, Unreadable)):
            return LogLevel.warn
        return LogLevel.debug if self._access_log.enabled and isinstance(error, CLIENT_MISTAKES) else LogLevel.info

    def _send(self, answer: Answer, exchange: RequestInFlight) -> None:
        request, record = exchange.request, exchange.record
        record.status = answer.status or request.code
        if exchange.client_gone:
            record.status = CLIENT_GONE
            record.error = _GONE
        elif answer is STREAMED:
            record.size = request.sentLength
            request.finish()
        elif request.startedWriting:  # the stream failed: only a cut connection shows the client that
            record.size = request.sentLength
            request.loseConnection()
        else:
            request.setResponseCode(answer.status, _PHRASES.get(answer.status))
            for name, value in answer.headers:
                request.setHeader(name, value)
            if answer.status != 304:  # its length would be that of the 200
                request.setHeader(b"Content-Length", b"%d" % len(answer.body))
            if answer.offer is not None and self._fast_lane is not None and request.method == b"GET":
                accept, headers = joined_header(request, b"accept"), list(request.responseHeaders.getAllRawHeaders())
                self._fast_lane.offer(origin_form(request.uri), accept, answer.offer, headers, answer.body)
            request.write(answer.body)
            record.size = request.sentLength
            request.finish()

    def _account(self, exchange: RequestInFlight) -> None:
        record = exchange.record
        record.ended = self._clock.seconds()
        self._metrics.answered(record.method, record.route, record.status, record.duration)
        if record.trace_id:
            self._metrics.traced(record)
        if record.fallback:
            self._metrics.fallback_served(record.fallback)
        if self._access_log.enabled or self._observers:
            exchange.complete()
        if self._access_log.enabled:
            self._access_log.write(access_of(exchange))
        tell_ended(self._observers, record)
        record.failure = None  # its traceback has the record, and the bytes of originals
