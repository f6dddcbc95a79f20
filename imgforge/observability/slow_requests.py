"""A line in the log for each request that takes too long: all its timings, its source, options and sizes."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from imgforge.observability.request_observers import IRequestObserver
from imgforge.observability.request_record import RequestRecord, logged_target
from imgforge.observability.request_texts import options_text

__all__ = ["SlowRequests"]

_MOST_LINES = 10  # a second: where every request is slow, a line for each helps nobody

_LOG = Logger("imgforge.slow")  # IMGFORGE_LOG_LEVEL=imgforge.slow=off silences it


@implementer(IRequestObserver)
class SlowRequests:
    """Logs each request, and each job of a queue, that takes *least* seconds or more, ten of a second at most.

    Requests that look into the caches only are probes, and have no line: a slow cache shows in those of visitors.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """See `IRequestObserver`."""

    def ended(self, record: RequestRecord) -> None:
        """See `IRequestObserver`."""
        if record.duration < self._least or record.only_cached or not self._may_log(record.ended):
            return
        timings = _timings(record)
        spent = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in timings.items())
        left_out, self._left_out = self._left_out, 0
        _LOG.warn(
            ("slow request: {method} {target} took" if record.job is None else "slow pre-rendering: it took")
            + " {duration} s ({spent}): status {status}, source {source}, options {options}, "
            "{bytes_in} bytes in, {size} bytes out" + ("; {left_out} more not logged" * bool(left_out)),
            method=record.method,
            target=logged_target(record.target),
            route=record.route,
            duration=round(record.duration, 3),
            spent=spent or "no step was noted",
            status=record.status,
            source=record.source or "-",
            options=options_text(record.image) or "-",
            result_format=record.format,
            cache=record.cache,
            error=record.error,
            bytes_in=record.work.bytes_in,
            size=record.size,
            left_out=left_out,
            request_id=record.identity,
            **{f"{name}_ms": round(1e3 * seconds, 3) for name, seconds in timings.items()},
        )

    def _may_log(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        self._lines += 1
        if self._lines > _MOST_LINES:
            self._left_out += 1
            return False
        return True


def _timings(record: RequestRecord) -> dict[str, float]:
    """The seconds of the steps by name, equal ones added up, in the order in which they ended."""
    timings: dict[str, float] = {}
    for step in record.steps:
        timings[str(step.name)] = timings.get(str(step.name), 0.0) + step.ended - step.began
    return timings
