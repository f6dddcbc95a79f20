"""The connections to origins that are open: idle ones of HTTP/1.1, and those of HTTP/2 that several requests share.

A connection is used again for its own scheme, host and port only. HTTP/2 would allow other hosts of its certificate;
their addresses would then be nobody's decision.

Where an origin may speak HTTP/2, requests wait for the first connection's handshake in place of opening as many
connections as there are requests. If it turns out to speak HTTP/1.1 they open their own. If it speaks HTTP/2 the first
one is sent at once, and the others when the origin has said how many it takes: those beyond get further connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import islice

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from imgforge.concurrency import Coalescer
from imgforge.sources.http.connector import Connector, Opened
from imgforge.sources.http.origin_connection import IOriginConnection, NotSent
from imgforge.sources.http.wire_url import Origin

__all__ = ["ConnectionPool"]

# Authority, target, headers, body and method.
_Request = tuple[bytes, bytes, Sequence[tuple[bytes, bytes]], bytes | None, bytes]


@dataclass(eq=False, slots=True)
class _Kept:
    """A connection of the pool."""

    connection: IOriginConnection
    idle_since: float = 0.0
    timer: IDelayedCall | None = None
    waiting: list[Deferred[None]] = field(default_factory=list)  # for the next change

    @property
    def usable(self) -> bool:
        """Whether a request can be sent now, and will not wait for those before it."""
        return self.connection.free > 0 and (self.connection.settled or not self.connection.active)

    @property
    def promising(self) -> bool:
        """Whether requests may be sent as soon as the origin has said how many it takes."""
        return self.connection.free > 0 and not self.connection.settled

    def change(self) -> Deferred[None]:
        """Fires at the next change of the connection."""
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def changed(self) -> None:
        """The connection has changed; who waited takes it, or waits again."""
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.callback(None)


@dataclass(slots=True)
class _Host:
    """The connections to an origin; those that became idle last are at the end."""

    kept: list[_Kept] = field(default_factory=list)
    shares: bool = True  # unless the last connection was one of HTTP/1.1


class ConnectionPool:
    """Sends requests; keeps idle connections, at most *per_host* to each origin and *most* in all, the oldest go first.

    They are kept for *idle* seconds; 0 keeps none.

    A request to which a kept connection brought no byte of a response is sent once more, over a new one; and once more
    over one of its own, where it shared that with others and the origin took too few of them.
    """

    def __init__(self, clock: IReactorTime, connector: Connector, idle: float, per_host: int, most: int) -> None:
        self._clock = clock
        self._connector = connector
        self._idle = idle
        self._per_host = per_host
        self._most = most
        self._hosts: dict[Origin, _Host] = {}
        self._idle_ones: dict[_Kept, None] = {}  # of all origins; those that became idle last are at the end
        self._handshakes: Coalescer[Origin, Opened] = Coalescer()
        self._closing: Deferred[None] | None = None

    def send(
        self,
        origin: Origin,
        authority: bytes,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None = None,
        method: bytes = b"GET",
        new_connection: bool = False,
    ) -> Deferred[IResponse]:
        """The response to the request; see `IOriginConnection.send`. *new_connection* takes no connection of others."""
        request = (authority, target, headers, body, method)
        connection = None if new_connection else self._usable(origin)
        if connection is None:
            return Deferred.fromCoroutine(self._send_first(origin, request, new_connection))

        context = copy_context()  # log lines of another connection name this request

        def not_sent(failure: Failure) -> Deferred[IResponse]:
            failure.trap(NotSent)
            return context.run(Deferred.fromCoroutine, self._send_again(origin, request, new_connection))

        return connection.send(*request).addErrback(not_sent)

    async def _send_first(self, origin: Origin, request: _Request, new_connection: bool) -> IResponse:
        try:
            connection = await self._open(origin, alone=new_connection)
            return await connection.send(*request)
        except NotSent:
            return await self._send_again(origin, request, new_connection)

    async def _send_again(self, origin: Origin, request: _Request, new_connection: bool) -> IResponse:
        alone = new_connection or not self._connector.may_share(origin)
        try:
            connection = await self._open(origin, alone)
            return await connection.send(*request)
        except NotSent:
            if alone:
                raise
        connection = await self._open(origin, alone=True)
        return await connection.send(*request)

    async def preconnect(self, origin: Origin, number: int) -> None:
        """Open *number* connections to *origin*, or one that is shared; they wait for requests as idle ones."""
        for _ in range(min(number, self._per_host) if self._idle else 0):
            opened = await self._handshake(origin)
            opened.connection.changed()
            if opened.shared:
                break

    def close(self) -> Deferred[None]:
        """Close the idle connections; those in use end with their requests."""
        if self._closing is None:
            self._closing = Deferred()
            for host in list(self._hosts.values()):
                for kept in list(host.kept):
                    if not kept.connection.active:  # it may be about to tell so
                        self._idle_ones[kept] = None
                    kept.connection.close()
            self._check_closed()
        return self._closing if not self._closing.called else succeed(None)

    def _usable(self, origin: Origin) -> IOriginConnection | None:
        host = self._hosts.get(origin)
        return None if host is None else next((kept.connection for kept in reversed(host.kept) if kept.usable), None)

    async def _open(self, origin: Origin, alone: bool) -> IOriginConnection:
        """A connection that can be sent over; a new one, but for those that requests which wait together share."""
        while True:
            host = self._hosts.get(origin)
            if alone or not self._connector.may_share(origin) or (host is not None and not host.shares):
                return (await self._connect(origin)).connection
            promising = None if host is None else next((kept for kept in host.kept if kept.promising), None)
            if promising is not None:
                await promising.change()
                usable = self._usable(origin)
                if usable is not None:
                    return usable
                continue
            opened = await self._handshake(origin)
            connection = opened.connection
            if connection.free and (connection.settled or not connection.active):
                return connection
            if not connection.active:  # not taken by others that waited: it allows no request at all
                raise NotSent("the origin closed the connection at once, or allows no streams")

    def _handshake(self, origin: Origin) -> Deferred[Opened]:
        """A connection that is being opened already, or a new one."""
        return self._handshakes.do(origin, lambda: Deferred.fromCoroutine(self._connect(origin)))

    async def _connect(self, origin: Origin) -> Opened:
        opened = await self._connector.connect(origin)
        host = self._hosts.setdefault(origin, _Host())
        host.shares = opened.shared
        kept = _Kept(opened.connection)
        host.kept.append(kept)
        opened.connection.changed = lambda: self._changed(origin, host, kept)
        return opened  # to a request that is sent over it at once

    def _changed(self, origin: Origin, host: _Host, kept: _Kept) -> None:
        connection = kept.connection
        if connection.closed:
            self._forget(origin, host, kept)
        elif connection.active:
            self._idle_ones.pop(kept, None)
        elif kept not in self._idle_ones:
            self._idle_ones[kept] = None
            kept.idle_since = self._clock.seconds()
            if kept in host.kept:  # the last one to become idle is the first one to be used
                host.kept.remove(kept)
                host.kept.append(kept)
            self._limit(host, kept)
        kept.changed()

    def _limit(self, host: _Host, kept: _Kept) -> None:
        if self._closing is not None or not self._idle:
            kept.connection.close()
            return
        if kept.timer is None:
            kept.timer = self._clock.callLater(self._idle, self._expire, kept)
        idle = [other for other in host.kept if other in self._idle_ones]
        for oldest in idle[: max(0, len(idle) - self._per_host)]:
            oldest.connection.close()
        for oldest in list(islice(self._idle_ones, max(0, len(self._idle_ones) - self._most))):
            oldest.connection.close()

    def _expire(self, kept: _Kept) -> None:
        """Close a connection that has been idle for too long; one that was used meanwhile gets the rest of its time."""
        kept.timer = None
        if kept in self._idle_ones:
            left = kept.idle_since + self._idle - self._clock.seconds()
            if left <= 0:
                kept.connection.close()
            else:
                kept.timer = self._clock.callLater(left, self._expire, kept)

    def _forget(self, origin: Origin, host: _Host, kept: _Kept) -> None:
        if kept.timer is not None:
            kept.timer.cancel()
            kept.timer = None
        self._idle_ones.pop(kept, None)
        if kept in host.kept:
            host.kept.remove(kept)
        if not host.kept and self._hosts.get(origin) is host:
            del self._hosts[origin]
        self._check_closed()

    def _check_closed(self) -> None:
        if self._closing is not None and not self._closing.called and not self._idle_ones:
            self._closing.callback(None)
