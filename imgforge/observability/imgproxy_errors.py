"""What imgproxy calls the errors of requests: the label `type` of its metric `errors_total`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from imgforge import errors
from imgforge.model import ImageRequest
from imgforge.observability.request_record import RequestRecord, Stage

__all__ = ["ERROR_TYPES", "error_type"]

_TIMEOUT, _PATH, _SECURITY, _QUEUE, _DOWNLOAD, _PROCESSING, _STREAMING, _UNEXPECTED = ERROR_TYPES = (
    "timeout",
    "path_parsing",
    "security",
    "queue",
    "download",
    "processing",
    "streaming",
    "unexpected",
)

# By class; the first that an error is an instance of decides.
_BY_CLASS: tuple[tuple[type[BaseException], str], ...] = (
    (errors.RequestTimeout, _TIMEOUT),
    (errors.OriginTimeout, _TIMEOUT),
    (errors.BadSignature, _SECURITY),
    (errors.BadToken, _SECURITY),
    (errors.ClientRefused, _SECURITY),
    (errors.SourceRefused, _SECURITY),
    (errors.Overloaded, _QUEUE),
    (errors.SourceNotFound, _DOWNLOAD),
    (errors.OriginFailed, _DOWNLOAD),
    (errors.ResultTooLarge, _PROCESSING),
    (errors.DecoderLost, _PROCESSING),
    (errors.Quarantined, _PROCESSING),
    (errors.BadPath, _PATH),
    (errors.BadOption, _PATH),
    (errors.OptionForbidden, _PATH),
    (errors.Expired, _PATH),
    (errors.NotFound, _PATH),
    (errors.NotCached, _PATH),
    (errors.MethodNotAllowed, _PATH),
    (errors.Unreadable, _PATH),
    (errors.UnsupportedFormat, _PATH),
)
# Found in the first bytes, or by a limit of bytes, as the original arrives; or on the image thread.
_BY_STAGE = (errors.NotAnImage, errors.SourceTooLarge)


def error_type(record: RequestRecord) -> str:
    """Why the request failed; "" where it did not, nobody waited for it any more, or a miss was all that was asked.

    One that got a fallback image failed too.
    """
    failure = record.failure
    if record.fallback:
        return _DOWNLOAD
    if failure is None or isinstance(failure, (errors.NotCached, CancelledError)):
        return ""
    if isinstance(failure, _BY_STAGE):
        on_thread = any(step.name == Stage.PROCESS and step.error is not None for step in record.work.steps)
        found = _PROCESSING if on_thread else _DOWNLOAD
    else:
        found = next((name for kind, name in _BY_CLASS if isinstance(failure, kind)), _UNEXPECTED)
    streams = isinstance(record.image, ImageRequest) and record.image.delivery.raw
    return _STREAMING if streams and found in {_DOWNLOAD, _UNEXPECTED} else found
