"""The errors that a client may see.

Every one of them is a single line of plain text and the HTTP status that it means, so that one place
(`imgforge.web`) turns any exception into an answer. The text is shown to strangers: it names what was wrong in *their*
request or source and never a path, a host name or a stack trace of ours.
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
    "Expired",
    "ImgforgeError",
    "MethodNotAllowed",
    "NotAnImage",
    "NotFound",
    "OptionForbidden",
    "OriginFailed",
    "OriginTimeout",
    "Overloaded",
    "PurgeFailed",
    "Quarantined",
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
    """An error that a client may see: one line, and the HTTP status that it means.

    `replaceable`: where a source fails with it, a fallback image may be served instead.
    """

    status = 500
    replaceable = True

    cause = ""  # for the operator's logs only: it may name hosts and addresses

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def caused_by(self, cause: str) -> Self:
        """The same error with its *cause*, which no client gets to see."""
        self.cause = " ".join(cause.split())[:_LONGEST_CAUSE]
        return self

    @property
    def message(self) -> str:
        """The line for the client; it has no line breaks."""
        return str(self.args[0])

    @property
    def logged(self) -> str:
        """The line for logs: the client's, and the cause."""
        return f"{self.message} ({self.cause})" if self.cause else self.message


class BadPath(ImgforgeError):
    """The path does not follow the grammar of image URLs."""

    status = 400


class BadRequest(ImgforgeError):
    """A body that does not say what the endpoint needs to know."""

    status = 400


class BadOption(ImgforgeError):
    """An unknown processing option or a value that it does not take."""

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
    """The client's address is not among those that the operator allows."""

    status = 403


class OptionForbidden(ImgforgeError):
    """An option that the operator has not allowed."""

    status = 403


class Expired(ImgforgeError):
    """The URL's `expires` lies in the past."""

    status = 404


class NotFound(ImgforgeError):
    """A path at which this server has nothing."""

    status = 404


class SourceNotFound(ImgforgeError):
    """No such source: a missing file, or an origin that says so."""

    status = 404


class UnknownScheme(SourceNotFound):
    """A source of a kind that this server does not serve."""

    replaceable = False


class SourceMissing(SourceNotFound):
    """The origin itself says that there is no such original."""


class SourceRefused(ImgforgeError):
    """A source that policy forbids: its address, where it redirects to, its URL."""

    status = 404
    replaceable = False


class MethodNotAllowed(ImgforgeError):
    """A method that the path does not know; `allow` are those that it does."""

    status = 405

    def __init__(self, message: str, allow: str = "GET, HEAD") -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(ImgforgeError):
    """The request took longer than IMGFORGE_TIMEOUT."""

    status = 408


class BodyTooLarge(ImgforgeError):
    """The body of a request has more bytes than its endpoint reads."""

    status = 413


class NotAnImage(ImgforgeError):
    """The source's bytes are no image that can be read, or a broken one."""

    status = 422


class SourceTooLarge(ImgforgeError):
    """The source has more bytes, pixels or frames than the limits allow."""

    status = 422


class Quarantined(ImgforgeError):
    """A source of which a process of ours died not long ago."""

    status = 422


class UnsupportedFormat(ImgforgeError):
    """The installed libvips cannot write the requested format."""

    status = 422


class Overloaded(ImgforgeError):
    """More requests than the queue or the rate allows; `retry_after` is in seconds."""

    status = 429
    replaceable = False

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateExceeded(Overloaded):
    """More requests in a minute than all clients, or one of them, may make."""


class TooManyClients(Overloaded):
    """More connections than IMGFORGE_MAX_CLIENTS; this one is for health checks only."""

    status = 503


class PurgeFailed(ImgforgeError):
    """A purge that other processes could not be told of."""

    status = 503


class Unreadable(ImgforgeError):
    """What arrived is no request that HTTP allows, or too long or too late; *status* says which."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class OriginFailed(ImgforgeError):
    """The origin could not be reached, or broke off, or answered with a fault of its own."""

    status = 502


class OriginTimeout(ImgforgeError):
    """The origin took longer than IMGFORGE_DOWNLOAD_TIMEOUT."""

    status = 504


class CircuitOpen(OriginFailed):
    """The origin failed so often that it is not asked for a while; the status is that of its last failure."""

    def __init__(self, message: str, status: int = OriginFailed.status) -> None:
        super().__init__(message)
        self.status = status
