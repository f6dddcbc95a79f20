"""What an error becomes: an answer, a line in the log, and a name in the metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from imgforge.errors import (
    BadOption,
    BadPath,
    BadSignature,
    BadToken,
    ClientRefused,
    Expired,
    ImgforgeError,
    MethodNotAllowed,
    NotCached,
    NotFound,
    OptionForbidden,
    OriginTimeout,
    Overloaded,
    RateExceeded,
    RequestTimeout,
    ResultTooLarge,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
    TooManyClients,
    Unreadable,
)
from imgforge.observability import RequestRecord, logged_target
from imgforge.web.http import Answer, error_headers

__all__ = [
    "CLIENT_MISTAKES",
    "REFUSALS",
    "ErrorAnswers",
    "development_errors",
    "error_answer",
    "log_error",
    "reference",
]

# Makes the answer to an error of a request, of the plain one.
ErrorAnswers = Callable[[Answer, ImgforgeError, Failure, Request], Answer]

# Mistakes of clients, as opposed to images that cannot be fetched or processed.
CLIENT_MISTAKES = (
    BadOption,
    BadPath,
    BadSignature,
    BadToken,
    ClientRefused,
    Expired,
    MethodNotAllowed,
    NotCached,
    NotFound,
    OptionForbidden,
    RateExceeded,
    Unreadable,
)
# Refusals by their name in the metrics. A refusal for want of a free slot is counted where it happens.
REFUSALS = {
    ClientRefused: "client",
    NotCached: "not-cached",
    OriginTimeout: "download",
    RateExceeded: "rate",
    RequestTimeout: "time",
    ResultTooLarge: "result",
    SourceRefused: "source",
    SourceTooLarge: "size",
    TooManyClients: "clients",
}


def error_answer(error: ImgforgeError, not_found_ttl: int = 0) -> Answer:
    """The error's text. Caches may not store it, except a missing source's for *not_found_ttl* seconds."""
    headers = error_headers(not_found_ttl if isinstance(error, SourceNotFound) else 0)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"Allow", error.allow.encode("ascii")))
    if isinstance(error, Overloaded):
        headers.append((b"Retry-After", b"%d" % error.retry_after))
    return Answer(error.status, headers, error.message.encode("utf-8", "backslashreplace") + b"\n")


def log_error(log: Logger, level: Any, error: ImgforgeError, record: RequestRecord) -> None:
    """The line of a request that failed with *error*: why, of which source, and what explains and decides it."""
    target = logged_target(record.target)
    fields: dict[str, Any] = {"status": error.status, "method": record.method, "target": target, "line": error.logged}
    form = "{status} {method} {target}: {line}"
    if record.source:
        fields["source"] = record.source
        # A target does not show a source that is encoded or encrypted.
        form += "" if record.source in target else ", source {source}"
    for name, value in reference(error).items():
        fields[name] = value
        form += f"; {name} {{{name}}}"
    log.emit(level, form, **fields)


def reference(error: ImgforgeError) -> dict[str, str]:
    """`see`, where docs/errors.md explains *error*, and `settings`, those that decide it; nothing for a plugin's."""
    from imgforge.error_catalogue import DOCUMENT, entry_of  # a process that serves has imported it at its start

    entry = entry_of(error)
    if entry is None:
        return {}
    found = {"see": f"{DOCUMENT}#{entry.anchor}"}
    return found | ({"settings": ", ".join(entry.variables)} if entry.settings else {})


def development_errors(hints: Callable[[ImgforgeError, bytes], Sequence[str]]) -> ErrorAnswers:
    """Returns what makes answers explain themselves; *hints* has further lines for an error of a target."""
    from imgforge.web.explained_errors import DevelopmentErrors

    return DevelopmentErrors(hints).answer
