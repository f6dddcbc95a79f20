"""The running reactor but for its time, which tests let pass: a machine that stands still ends no time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock, deferLater

from tests.support.scripted_origin import reactor

__all__ = ["PacedReactor"]

_TURN = 0.005  # seconds in which sockets and threads go on, between two steps of time


class PacedReactor(Clock):
    """Time stands still but for `advance` and `pass_until`; sockets and threads are those of the running reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = float(reactor.seconds())

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **named: Any) -> Any:  # noqa: A002
        """What is due in the next turn is so whatever the time."""
        later = super().callLater if delay else reactor.callLater
        return later(delay, callable, *args, **named)

    async def pass_until(self, condition: Callable[[], object], step: float = 0.01) -> None:
        """Let *step* seconds pass in each turn until *condition* holds; otherwise the test's timeout ends it."""
        while not condition():
            self.advance(step)
            await deferLater(reactor, _TURN)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)
