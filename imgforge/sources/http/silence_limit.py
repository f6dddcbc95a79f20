"""How long an origin may be silent in the middle of a body."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["NoSilenceLimit", "SilenceLimit"]


class SilenceLimit:
    """Calls `late` when an origin was silent for *seconds*, counted from `start` and from the last bytes."""

    late: Callable[[float], None]

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Wait for bytes from now on."""
        self.stop()
        self._call = self._clock.callLater(self._seconds, self._expire)

    def heard(self) -> None:
        """Bytes have come."""
        if self._call is not None:
            self._call.reset(self._seconds)

    def stop(self) -> None:
        """The origin has to wait for this server, or has nothing more to send."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _expire(self) -> None:
        self._call = None
        self.late(self._seconds)


class NoSilenceLimit(SilenceLimit):
    """The origin may be silent as long as whoever waits for the whole allows it."""

    def __init__(self) -> None:
        """Nothing is counted."""

    def start(self) -> None:
        """See `SilenceLimit`."""

    heard = stop = start
