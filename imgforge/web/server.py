"""The resource that answers every request: it finds the endpoint, runs it, and turns any outcome into an answer.

render ── request id ── route ── endpoint(request) ─┬─ Answer ── headers, body
                                                    ├─ STREAMED (the endpoint wrote it)
                                                    └─ error ── one line of text with its status
                                 and whatever it was, counted and logged once
"""

from __future__ import annotations

import contextvars
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from imgforge.errors import (
    BadOption,
    BadPath,
    BadSignature,
    BadToken,
    ClientRefused,
    Expired,
    ImgforgeError,
    MethodNotAllowed,
    NotFound,
    OptionForbidden,
    OriginTimeout,
    Overloaded,
    RateExceeded,
    RequestTimeout,
    ResultTooLarge,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
    TooManyClients,
    Unreadable,
)
from imgforge.observability import AccessLog, Metrics, RequestRecord, bind_request_id
from imgforge.web.fast_lane.lane import FastLane
from imgforge.web.http.exchange import Exchange, access_of
from imgforge.web.http.forwarded import Clients
from imgforge.web.http.record import attach_record
from imgforge.web.http.request_headers import joined_header, request_id
from imgforge.web.http.response import Answer, Headers, error_headers
from imgforge.web.in_flight import InFlight
from imgforge.web.routes import STREAMED, Route, origin_form, refusal

__all__ = ["Server", "error_answer"]

# What the logs and metrics say when the client left before its answer (nginx's convention).
_CLIENT_GONE = 499
_GONE = "the client has left"

# What a client does wrong, as opposed to an image that cannot be had.
_MISTAKES = (
    BadOption,
    BadPath,
    BadSignature,
    BadToken,
    ClientRefused,
    Expired,
    MethodNotAllowed,
    NotFound,
    OptionForbidden,
    RateExceeded,
    Unreadable,
)
# Refusals of ours and what the metrics call them; what waits for a place is counted where it is refused one.
_REASONS = {
    ClientRefused: "client",
    OriginTimeout: "download",
    RateExceeded: "rate",
    RequestTimeout: "time",
    ResultTooLarge: "result",
    SourceRefused: "source",
    SourceTooLarge: "size",
    TooManyClients: "clients",
}

# twisted.web calls 422, 429 and 431 "Unknown Status".
_PHRASES = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}

# The longest target in a log line.
_MOST_SHOWN = 500
_QUERY = re.compile(r"\?|%3f", re.IGNORECASE)

# The label in the metrics of what has no path.
_NO_ROUTE = "other"


def _shown(target: bytes) -> str:
    """*target* for a log line: without its source's query, where tokens and signatures of the source's are."""
    path, *query = _QUERY.split(target.decode("utf-8", "backslashreplace"), maxsplit=1)
    shown = path[:_MOST_SHOWN]
    return shown + "..." if query or len(path) > _MOST_SHOWN else shown


def error_answer(error: ImgforgeError, not_found_ttl: int = 0) -> Answer:
    """The error's line as plain text; no cache may keep it, but one of a missing source for *not_found_ttl* seconds."""
    headers = error_headers(not_found_ttl if isinstance(error, SourceNotFound) else 0)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"Allow", error.allow.encode("ascii")))
    if isinstance(error, Overloaded):
        headers.append((b"Retry-After", b"%d" % error.retry_after))
    return Answer(error.status, headers, error.message.encode("utf-8") + b"\n")


class Server(Resource):
    """All paths of a listener; the first of *routes* that matches answers. *headers* go out with every answer.

    *clients* says who a request comes from, and whether that one is answered. Caches in front of us may keep the 404 of
    a source for *not_found_ttl* seconds.
    """

    isLeaf = True
    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        routes: Sequence[Route],
        metrics: Metrics,
        access_log: AccessLog,
        headers: Headers,
        prefix: bytes = b"",
        lane: FastLane | None = None,
        clients: Clients | None = None,
        *,
        not_found_ttl: int = 0,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._routes = tuple(routes)
        self._metrics = metrics
        self._access_log = access_log
        self._headers = headers
        self._prefix = prefix
        self._lane = lane
        self.clients = clients or Clients()
        self._not_found_ttl = not_found_ttl
        self.in_flight: InFlight[Exchange] = InFlight()

    @property
    def active(self) -> int:
        """How many requests are in flight."""
        return len(self.in_flight)

    def render(self, request: Request) -> int:
        """Start the answer in a context of its own, in which every log line carries the request's id."""
        contextvars.copy_context().run(self._start, request, self._route(request))
        return NOT_DONE_YET

    def refuse(self, request: Request, error: ImgforgeError) -> None:
        """Answer a request that could not be read, with everything else that an answer of ours has."""
        contextvars.copy_context().run(self._start, request, refusal(_NO_ROUTE, error))

    def _route(self, request: Request) -> Route:
        try:
            path = origin_form(request.path).removeprefix(self._prefix)
        except BadPath as error:
            return refusal(_NO_ROUTE, error)
        first = next(route for route in self._routes if route.matches(path))
        alike = (one for one in self._routes if (one.path, one.prefix) == (first.path, first.prefix))
        route = next((one for one in alike if request.method in one.methods), None)
        if route is None:
            allow = [method.decode("ascii") for method in first.methods]
            return refusal(
                first.label, MethodNotAllowed(f"only {' and '.join(allow)} are answered here", ", ".join(allow))
            )
        if not route.always:
            try:
                self.clients.check(request)
            except ClientRefused as error:
                return refusal(route.label, error)
        channel: Any = request.channel
        if channel.spare and not route.always:
            return refusal(route.label, TooManyClients("this server has as many clients as it takes"))
        return route

    def _start(self, request: Request, route: Route) -> None:
        identity = request_id(request.getHeader(b"x-request-id"))
        bind_request_id(identity)
        request.setHeader(b"X-Request-ID", identity.encode("ascii"))
        for name, value in self._headers:
            request.setHeader(name, value)
        record = RequestRecord(identity)
        attach_record(request, record)
        exchange = Exchange(request, route.label, record, self.clients.of(request), self._clock.seconds())
        self.in_flight.add(exchange)
        answering = Deferred.fromCoroutine(self._answer(route, exchange))
        request.notifyFinish().addErrback(exchange.client_left, answering)

    async def _answer(self, route: Route, exchange: Exchange) -> None:
        """All of the exchange, in one coroutine: a callback would run in the context of whatever called it."""
        try:
            try:
                answer = await route.endpoint(exchange.request)
            except Exception:
                answer = self._explain(Failure(), exchange)
            self._send(answer, exchange)
        except Exception:
            self.log.failure("an answer could not be written")
        try:
            self._account(exchange)
        finally:
            self.in_flight.discard(exchange)

    def _explain(self, failure: Failure, exchange: Exchange) -> Answer:
        # A client that leaves a stream ends it by its transport first, and is only then reported as gone.
        record = exchange.record
        if exchange.gone or (exchange.request.startedWriting and failure.check(CancelledError)):
            record.error = _GONE
            return Answer(_CLIENT_GONE, [])
        error = failure.value
        method, target = exchange.request.method.decode("latin-1"), _shown(exchange.request.uri)
        if isinstance(error, CancelledError):
            error = ImgforgeError("the request was given up")
        elif not isinstance(error, ImgforgeError):
            self.log.failure("a fault of imgforge's own: {method} {target}", failure, method=method, target=target)
            error, record.level = ImgforgeError("internal error"), "error"
        else:
            level = self._level(error)
            if level is LogLevel.warn:
                record.level = "warn"
            told = {"status": error.status, "method": method, "target": target, "line": error.logged}
            form = "{status} {method} {target}: {line}"
            if record.source:
                told["source"] = record.source
                # Which cannot be seen in a target where it is encoded or encrypted.
                form += "" if record.source in target else ", source {source}"
            self.log.emit(level, form, **told)
        record.error = error.logged
        if type(error) in _REASONS:
            self._metrics.refused(_REASONS[type(error)])
        return error_answer(error, self._not_found_ttl)

    def _level(self, error: ImgforgeError) -> Any:
        """Faults of origins are warnings; mistakes of clients are in the access log, if there is one."""
        if error.status >= 500 and not isinstance(error, (Unreadable, Overloaded)):
            return LogLevel.warn
        return LogLevel.debug if self._access_log.enabled and isinstance(error, _MISTAKES) else LogLevel.info

    def _send(self, answer: Answer, exchange: Exchange) -> None:
        request = exchange.request
        exchange.status = answer.status or request.code
        if exchange.gone:
            exchange.status = _CLIENT_GONE
            exchange.record.error = _GONE
        elif answer is STREAMED:
            exchange.size = request.sentLength
            request.finish()
        elif request.startedWriting:  # the stream broke: only a cut connection tells the client so
            request.loseConnection()
        else:
            request.setResponseCode(answer.status, _PHRASES.get(answer.status))
            for name, value in answer.headers:
                request.setHeader(name, value)
            if answer.status != 304:  # whose length would be that of the 200 answer
                request.setHeader(b"Content-Length", b"%d" % len(answer.body))
            if answer.offer is not None and self._lane is not None and request.method == b"GET":
                headers = list(request.responseHeaders.getAllRawHeaders())
                self._lane.offer(
                    origin_form(request.uri), joined_header(request, b"accept"), answer.offer, headers, answer.body
                )
            request.write(answer.body)
            exchange.size = request.sentLength
            request.finish()

    def _account(self, exchange: Exchange) -> None:
        request = exchange.request
        seconds = self._clock.seconds() - exchange.began
        self._metrics.answered(request.method.decode("latin-1"), exchange.label, exchange.status, seconds)
        if exchange.record.fallback:
            self._metrics.fallback_served(exchange.record.fallback)
        if self._access_log.enabled:
            self._access_log.write(access_of(exchange, self._clock.seconds(), seconds))
