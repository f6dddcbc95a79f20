"""Which errors are reported: those that an operator can do something about, and no mistakes of clients."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from imgforge.errors import (
    DecoderLost,
    ImgforgeError,
    NotAnImage,
    OriginFailed,
    OriginTimeout,
    PurgeFailed,
    Quarantined,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
)
from imgforge.observability import CLIENT_GONE, RequestRecord, Stage

__all__ = ["ClientGone", "reported_error"]

_ALWAYS = (NotAnImage, DecoderLost, Quarantined, PurgeFailed)
_DOWNLOADING = (OriginFailed, OriginTimeout, SourceNotFound)
# Of these the fetch of an original may be the cause, or a limit that is known without it.
_SOMETIMES_DOWNLOADING = (SourceRefused, SourceTooLarge)


class ClientGone(Exception):
    """The client closed its connection before its response was complete."""


def reported_error(record: RequestRecord, *, downloading: bool, io: bool) -> BaseException | None:
    """The error of the request that is to be reported, None where there is none.

    As in imgproxy: internal errors and broken images always, those of *downloading* and of writing responses (*io*)
    where the operator wants them; never mistakes in URLs, signatures, limits of load, and requests that time out.
    """
    error = record.failure
    if error is None:
        return ClientGone("the client closed the connection") if io and record.status == CLIENT_GONE else None
    if isinstance(error, CancelledError):
        return None
    if not isinstance(error, ImgforgeError) or isinstance(error, _ALWAYS):
        return error
    if isinstance(error, _DOWNLOADING) or (isinstance(error, _SOMETIMES_DOWNLOADING) and _failed_in_fetch(record)):
        return error if downloading else None
    return None


def _failed_in_fetch(record: RequestRecord) -> bool:
    return any(step.name == Stage.FETCH and step.error is not None for step in record.steps)
