"""A clock that tests set, beside the threads of the running reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from tests.support.scripted_origin import reactor

__all__ = ["SteppingReactor"]


class SteppingReactor(Clock):
    """Time stands still but for `advance`; results of threads arrive in the running reactor."""

    def callFromThread(self, call: Any, *args: Any, **named: Any) -> None:
        reactor.callFromThread(call, *args, **named)
