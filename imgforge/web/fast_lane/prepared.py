"""A response to one exact request: ready but for the last digits of its request id, for a second at most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from imgforge.interfaces import VisitMark
from imgforge.web.fast_lane.hits import LoggedTarget

__all__ = ["ENDS", "END_OF_GIVEN_ID", "Prepared"]

# What comes after all that is prepared: the last digits of a request id, and the end of the head.
ENDS = tuple(b"%03x\r\n\r\n" % number for number in range(0x1000))
END_OF_GIVEN_ID = (b"\r\n\r\n",)


@dataclass(slots=True)
class Prepared:
    """What `FastLane.answer` sends, in pieces: `head`, one of `ends`, which are for one response each, and `body`."""

    # From when to before when it may be sent: later a header changes, or the request may be decided otherwise.
    since: float
    until: float
    head: bytes
    ends: Iterator[bytes]
    body: bytes
    visit_mark: VisitMark
    counted: list[float]  # hits like this one and their seconds
    request_id: bytes  # up to its last digits
    logged: tuple[LoggedTarget, str, int, Mapping[bytes, bytes]]  # with the method, the status and the headers
    client: str = ""  # that a trusted proxy names
    first_ends: Iterator[bytes] = field(init=False)  # `ends` as it was made, whatever takes from it since

    def __post_init__(self) -> None:
        self.first_ends = self.ends
