"""Runs a replay in a reactor of its own until it ends, or until a signal interrupts it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from imgforge.cli.server_client import ServerClient
from imgforge.cli.server_connection import ServerAddress
from imgforge.cli.warming.replay import Replay, ReplaySettings
from imgforge.cli.warming.tally import Tally

__all__ = ["ReplayResult", "replay_until_signalled"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOWN_EVERY = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """How a replay ended: what it did, the trouble that ended it early, the number of the signal that did, or 0."""

    tally: Tally
    trouble: str
    signal: int


def replay_until_signalled(
    address: ServerAddress,
    paths: Iterator[tuple[bytes, bytes]],
    settings: ReplaySettings,
    done: Callable[[bytes], object],
    show: Callable[[Tally], object],
) -> ReplayResult:
    """Replays *paths*, see `Replay`; SIGINT and SIGTERM end it. *show* is called ten times a second.

    Raises what *paths* and *done* raise.
    """
    reactor: Any = SelectReactor()
    replay = Replay(ServerClient(reactor, address, settings.concurrency), reactor, paths, settings, done)
    failures: list[Failure] = []
    caught = 0

    def interrupt(number: int, _: object) -> None:
        nonlocal caught
        caught = caught or number
        reactor.callFromThread(replay.interrupt)

    def begin() -> None:
        showing = LoopingCall(show, replay.tally)
        showing.clock = reactor
        showing.start(_SHOWN_EVERY, now=False)
        Deferred.fromCoroutine(replay.run()).addErrback(failures.append).addBoth(lambda _: reactor.stop())

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if failures:
        failures[0].raiseException()
    return ReplayResult(replay.tally, replay.trouble, caught)
