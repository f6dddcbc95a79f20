"""Origins that attack over HTTP/2: what the pool, the retries and the limits make of it, over TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.internet.protocol import Factory, Protocol

from imgforge.errors import OriginFailed, OriginTimeout
from imgforge.sources import SourceRegistry
from tests.support.certificates import certificate, server_options
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import reactor, until

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class _Peer(Protocol):
    """Answers each request by what `factory.attack` makes of it."""

    factory: Origin
    _received = b""
    _began = False

    def connectionMade(self) -> None:
        self.factory.connected += 1
        self.factory.open.add(self)
        self.encoder = Encoder()
        self.send(SettingsFrame(0, settings=dict(self.factory.settings)))

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.open.discard(self)

    def send(self, *frames: Frame | bytes) -> None:
        transport: Any = self.transport
        transport.write(b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames))

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if not self._began:
            if len(self._received) < len(_PREFACE):
                return
            self._began, self._received = True, self._received[len(_PREFACE) :]
        while len(self._received) >= 9:
            frame, size = Frame.parse_frame_header(memoryview(self._received[:9]))
            if len(self._received) < 9 + size:
                return
            body, self._received = self._received[9 : 9 + size], self._received[9 + size :]
            frame.parse_body(memoryview(body))
            self.factory.frames.append(frame)
            if isinstance(frame, HeadersFrame):
                self.factory.attack(self, frame.stream_id)

    def head(self, stream: int, *fields: tuple[str, str], flags: tuple[str, ...] = ("END_HEADERS",)) -> Frame:
        block = self.encoder.encode([(":status", "200"), *fields])
        return HeadersFrame(stream, data=block, flags=flags)


class Origin(Factory):
    protocol = _Peer  # type: ignore[assignment]

    def __init__(self, attack: Callable[[_Peer, int], None], **settings: int) -> None:
        self.attack = attack
        self.settings = {getattr(SettingsFrame, name.upper()): value for name, value in settings.items()}
        self.connected = 0
        self.open: set[_Peer] = set()
        self.frames: list[Frame] = []
        options = server_options(certificate("localhost"), (b"h2",))
        self.port: Any = reactor.listenSSL(0, self, options, interface="127.0.0.1")

    def url(self, path: str = "/a") -> str:
        return f"https://127.0.0.1:{self.port.getHost().port}{path}"

    async def close(self) -> None:
        for peer in list(self.open):
            peer.transport.abortConnection()  # type: ignore[union-attr]
        await self.port.stopListening()


def image(peer: _Peer, stream: int) -> None:
    peer.send(peer.head(stream), DataFrame(stream, data=b"image", flags=["END_STREAM"]))


class AttackTests(HttpCase):
    timeout = 60

    def attacked(self, attack: Callable[[_Peer, int], None], **settings: int) -> Origin:
        origin = Origin(attack, **settings)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        return origin

    def pool_of(self, sources: SourceRegistry) -> Any:
        source: Any = sources._by_scheme["https"]
        return source._client._pool

    async def assert_survived(self, attack: Callable[[_Peer, int], None], requests: int = 3) -> Origin:
        """The requests fail, the connections are gone, and the origin is asked again when it behaves."""
        origin = self.attacked(attack)
        sources = self.sources(ignore_ssl_verification=True, breaker_failures=0)
        fetches = [sources.fetch(origin.url(f"/{number}"), None, {}) for number in range(requests)]
        for succeeded, failure in await DeferredList(fetches, consumeErrors=True):
            self.assertFalse(succeeded)
            self.assertIsInstance(failure.value, OriginFailed)  # type: ignore[attr-defined]
        await until(lambda: not origin.open and not self.pool_of(sources)._hosts)
        self.assertEqual(self.pool_of(sources)._hosts, {})
        origin.attack = image
        self.assertEqual((await sources.fetch(origin.url(), None, {})).body, b"image")
        return origin

    async def test_a_flood_of_resets_of_streams_that_are_over(self) -> None:
        def attack(peer: _Peer, stream: int) -> None:
            peer.send(*[RstStreamFrame(stream)] * 5000)

        await self.assert_survived(attack, 1)

    async def test_continuations_without_end(self) -> None:
        def attack(peer: _Peer, stream: int) -> None:
            peer.send(peer.head(stream, flags=()), *[ContinuationFrame(stream, data=b"\x82" * 10)] * 100_000)

        await self.assert_survived(attack)

    async def test_empty_continuations_without_end(self) -> None:
        def attack(peer: _Peer, stream: int) -> None:
            peer.send(peer.head(stream, flags=()), *[ContinuationFrame(stream)] * 100_000)

        await self.assert_survived(attack)

    async def test_a_head_that_unpacks_to_a_hundred_times_its_size(self) -> None:
        def attack(peer: _Peer, stream: int) -> None:
            frame = peer.head(stream, ("x-bomb", "b" * 3000))
            frame.data += b"\xbe" * 16_000  # type: ignore[attr-defined]  # the field in the table, again and again
            peer.send(frame)

        await self.assert_survived(attack)

    async def test_floods_of_pings_settings_windows_and_empty_data(self) -> None:
        for flood in (
            PingFrame(0, opaque_data=b"12345678"),
            SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 70_000}),
            WindowUpdateFrame(0, window_increment=1),
        ):
            await self.assert_survived(lambda peer, _, flood=flood: peer.send(*[flood] * 20_000))  # type: ignore[misc]

        def empty(peer: _Peer, stream: int) -> None:
            peer.send(peer.head(stream), *[DataFrame(stream)] * 20_000)

        await self.assert_survived(empty)

    async def test_an_origin_that_allows_no_streams_fails_at_the_deadline(self) -> None:
        origin = self.attacked(lambda *_: None, max_concurrent_streams=0)
        sources = self.sources(ignore_ssl_verification=True, download_timeout=1, connections_per_host=4)
        fetches = [sources.fetch(origin.url(f"/{number}"), None, {}) for number in range(4)]
        for succeeded, failure in await DeferredList(fetches, consumeErrors=True):
            self.assertFalse(succeeded)
            self.assertIsInstance(failure.value, OriginTimeout)  # type: ignore[attr-defined]
        self.assertLessEqual(origin.connected, 4)

    async def test_silent_streams_hold_up_no_request_beyond_those_that_a_connection_takes(self) -> None:
        """Five requests come before the origin has said that it takes two at once; it is silent to the first two."""

        def attack(peer: _Peer, stream: int) -> None:
            peers.append(peer)
            if peer is not peers[0] or stream > 3:
                image(peer, stream)

        peers: list[_Peer] = []
        origin = self.attacked(attack, max_concurrent_streams=2)
        sources = self.sources(ignore_ssl_verification=True)
        fetches = [sources.fetch(origin.url(f"/{number}"), None, {}) for number in range(5)]
        images = await gatherResults(fetches[2:])
        self.assertEqual([each.body for each in images], [b"image"] * 3)
        self.assertEqual([fetch.called for fetch in fetches[:2]], [False, False])
        self.assertLessEqual(origin.connected, 3)
        for fetch in fetches[:2]:
            fetch.cancel()
            await self.assertFailure(fetch, CancelledError)

    async def test_requests_that_are_given_up_leave_nothing(self) -> None:
        """The origin answers a third, is silent to a third, and stops in the middle of a third."""

        def attack(peer: _Peer, stream: int) -> None:
            kind = len(origin.frames) % 3
            if kind == 0:
                image(peer, stream)
            elif kind == 1:
                peer.send(peer.head(stream), DataFrame(stream, data=b"im"))

        origin = self.attacked(attack, max_concurrent_streams=20)
        sources = self.sources(ignore_ssl_verification=True, breaker_failures=0, download_timeout=5)
        fetches, given_up = [], []
        for number in range(300):
            fetch = sources.fetch(origin.url(f"/{number}"), None, {})
            given_up.append(reactor.callLater(0.001 * (number * 7919 % 400), fetch.cancel))
            fetches.append(fetch)
        outcomes = await DeferredList(fetches, consumeErrors=True)
        await until(lambda: not any(call.active() for call in given_up))
        failures = {type(outcome.value) for succeeded, outcome in outcomes if not succeeded}  # type: ignore[attr-defined]
        self.assertLessEqual(failures, {CancelledError, OriginFailed})
        source: Any = sources._by_scheme["https"]
        self.assertEqual(len(source._image_limit._limits), 0)
        for host in self.pool_of(sources)._hosts.values():
            self.assertEqual([kept.connection.active for kept in host.kept if kept.connection.active], [])
        origin.attack = image
        self.assertEqual((await sources.fetch(origin.url(), None, {})).body, b"image")
        await sources.close()
        await until(lambda: not origin.open and not self.pool_of(sources)._hosts)
