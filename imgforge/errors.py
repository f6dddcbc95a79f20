"""The errors that a client may see.

Each is a single line of plain text and an HTTP status, so that one place (`imgforge.web`) turns any exception into an
answer. Strangers read the text: it names what is wrong with *their* request or source, and never a path, a host name or
a stack trace of this server.
"""

from __future__ import annotations

from typing import Self

__all__ = [
    "BadOption",
    "BadPath",
    "BadRequest",
    "BadSignature",
    "BadToken",
    "BodyTooLarge",
    "CircuitOpen",
    "ClientRefused",
    "DecoderLost",
    "Expired",
    "ImgforgeError",
    "MethodNotAllowed",
    "NoCredentials",
    "NotAnImage",
    "NotCached",
    "NotFound",
    "OptionForbidden",
    "OriginFailed",
    "OriginTimeout",
    "Overloaded",
    "PurgeFailed",
    "Quarantined",
    "QueueFailed",
    "RateExceeded",
    "RequestTimeout",
    "ResultTooLarge",
    "SourceMissing",
    "SourceNotFound",
    "SourceRefused",
    "SourceTooLarge",
    "TooManyClients",
    "UnknownScheme",
    "Unreadable",
    "UnsupportedFormat",
]

_LONGEST_CAUSE = 300


class ImgforgeError(Exception):
    """An error that a client may see: one line, and its HTTP status.

    `replaceable`: a fallback image may be served where a source fails with it.
    """

    status = 500
    replaceable = True

    cause = ""  # for the operator's logs only: it may name hosts and addresses

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def caused_by(self, cause: str) -> Self:
        """The same error with its *cause*, which only logs show."""
        self.cause = " ".join(cause.split())[:_LONGEST_CAUSE]
        return self

    @property
    def message(self) -> str:
        """The line for the client, without line breaks."""
        return str(self.args[0])

    @property
    def logged(self) -> str:
        """The line for logs: the client's and the cause."""
        return f"{self.message} ({self.cause})" if self.cause else self.message


class BadPath(ImgforgeError):
    """The path does not follow the grammar of image URLs."""

    status = 400


class BadRequest(ImgforgeError):
    """The body of the request lacks what the endpoint needs."""

    status = 400


class BadOption(ImgforgeError):
    """An unknown processing option, or a value that the option does not take."""

    status = 400


class ResultTooLarge(ImgforgeError):
    """The options ask for a result beyond the operator's limit."""

    status = 400


class BadSignature(ImgforgeError):
    """The signature does not belong to the path."""

    status = 403


class BadToken(ImgforgeError):
    """The Authorization header does not carry the operator's secret."""

    status = 403


class ClientRefused(ImgforgeError):
    """The operator does not allow the client's address."""

    status = 403


class OptionForbidden(ImgforgeError):
    """An option that the operator has not allowed."""

    status = 403


class Expired(ImgforgeError):
    """The URL's `expires` lies in the past."""

    status = 404


class NotFound(ImgforgeError):
    """The path has no endpoint."""

    status = 404


class SourceNotFound(ImgforgeError):
    """No such source: a missing file, or an origin's 404."""

    status = 404


class UnknownScheme(SourceNotFound):
    """A source whose URL scheme this server does not serve."""

    replaceable = False


class SourceMissing(SourceNotFound):
    """The origin answers that it has no such original."""


class SourceRefused(ImgforgeError):
    """A source that policy forbids: by its address, its redirect or its URL."""

    status = 404
    replaceable = False


class MethodNotAllowed(ImgforgeError):
    """A method that the path does not support; `allow` lists those that it does."""

    status = 405

    def __init__(self, message: str, allow: str = "GET, HEAD") -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(ImgforgeError):
    """The request took longer than IMGFORGE_TIMEOUT."""

    status = 408


class BodyTooLarge(ImgforgeError):
    """The body of the request is larger than the endpoint reads."""

    status = 413


class NotAnImage(ImgforgeError):
    """The source is not an image of a readable format, or a broken one."""

    status = 422


class SourceTooLarge(ImgforgeError):
    """The source has more bytes, pixels or frames than the limits allow."""

    status = 422


class Quarantined(ImgforgeError):
    """A source that crashed a process of this server and is in quarantine."""

    status = 422


class UnsupportedFormat(ImgforgeError):
    """The installed libvips cannot write the requested format."""

    status = 422


class Overloaded(ImgforgeError):
    """More requests than a concurrency or rate limit allows; `retry_after` is in seconds."""

    status = 429
    replaceable = False

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateExceeded(Overloaded):
    """More requests in a minute than all clients, or this one, may make."""


class TooManyClients(Overloaded):
    """More connections than IMGFORGE_MAX_CLIENTS: this one only answers health checks."""

    status = 503


class DecoderLost(ImgforgeError):
    """No decoder process could be started, or something other than the file ended it; the source may be sound."""

    status = 503
    replaceable = False


class PurgeFailed(ImgforgeError):
    """A purge that did not reach all processes."""

    status = 503


class QueueFailed(ImgforgeError):
    """The queue of images to make beforehand cannot be used: its file is damaged or its broker does not answer."""

    status = 503


class Unreadable(ImgforgeError):
    """A malformed request, or one that is too long or arrives too late; *status* says which."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class OriginFailed(ImgforgeError):
    """The origin could not be reached, broke off its answer, or answered with an error status."""

    status = 502


class OriginTimeout(ImgforgeError):
    """The origin took longer than IMGFORGE_DOWNLOAD_TIMEOUT."""

    status = 504


class NotCached(ImgforgeError):
    """The client takes a cached result only (Cache-Control: only-if-cached), and there is none."""

    status = 504
    replaceable = False


class NoCredentials(OriginFailed):
    """This server has no valid credentials for the store: another try at once would fare no better."""


class CircuitOpen(OriginFailed):
    """The circuit breaker of the origin is open after many failures; the status is that of the last one."""

    def __init__(self, message: str, status: int = OriginFailed.status) -> None:
        super().__init__(message)
        self.status = status
