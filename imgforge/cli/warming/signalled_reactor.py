"""Runs a replay in a reactor of its own until it ends, or until a signal interrupts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from twisted.internet.selectreactor import SelectReactor

from imgforge.cli.interruptible import run_until_signalled
from imgforge.cli.server_client import ServerClient
from imgforge.cli.server_connection import ServerAddress
from imgforge.cli.warming.replay import Replay, ReplaySettings
from imgforge.cli.warming.tally import Tally

__all__ = ["ReplayResult", "replay_until_signalled"]


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
    caught = run_until_signalled(reactor, replay.run, replay.interrupt, lambda: show(replay.tally))
    return ReplayResult(replay.tally, replay.trouble, caught)
