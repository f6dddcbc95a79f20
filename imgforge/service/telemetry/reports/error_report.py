"""A report of an error, before any service has its form of it: what failed, where, and for which request.

Reports leave the operator's machines. They have no queries and passwords of URLs, no signatures, no cookies and
credentials, no addresses of clients, and no values of variables.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from imgforge.error_catalogue import DOCUMENT, entry_of
from imgforge.errors import ImgforgeError
from imgforge.observability import RequestRecord, asked_options, shown_source

__all__ = ["ErrorReport", "Frame", "Scrubber", "report_of"]

# Headers of the client's request that tell what it asked for; all others may be secrets.
_HEADERS = (
    *("host", "user-agent", "referer", "accept", "accept-encoding", "accept-language", "cache-control", "range"),
    *("if-none-match", "if-modified-since", "if-range", "dpr", "width", "sec-ch-dpr", "sec-ch-width", "save-data"),
)
_LONGEST_HEADER = 500  # characters
_LONGEST_MESSAGE = 1000
_LONGEST_SCANNED = 10_000
_MOST_FRAMES = 50  # the innermost ones
_MOST_CAUSES = 5

_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_ENCODED_QUERY = re.compile(r"%3[fF][^\s'\"<>]*")
_TOKEN = re.compile(r"\b(bearer|basic)\s+[^\s'\",]+", re.IGNORECASE)
_SHORTEST_SECRET = 4  # characters: a shorter one would be found in every other word

# Options whose argument is a URL, in base64.
_URL_OPTIONS = frozenset({"watermark_url", "wmu", "fallback_image_url", "fiu"})


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a traceback."""

    file: str
    line: int
    function: str

    @property
    def ours(self) -> bool:
        """Whether it is imgforge's code."""
        return "/imgforge/" in self.file


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An error and its request; the names in `metadata` are imgproxy's."""

    kind: str  # the class of the error
    message: str
    frames: Sequence[Frame]  # the innermost one last
    causes: Sequence[tuple[str, str]]  # kind and message of what caused it, the nearest first
    at: float  # seconds since the epoch
    method: str
    url: str  # without signature, and without the source's query
    headers: Mapping[str, str]  # names in lower case
    metadata: Mapping[str, str | Mapping[str, str]]


class Scrubber:
    """Takes secrets out of texts: queries and passwords of URLs, tokens, and the values of *secrets*."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(sorted({one for one in secrets if len(one) >= _SHORTEST_SECRET}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """*text* without secrets, cut to 1000 characters."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _URL.sub(lambda match: shown_source(match[0]), text[:_LONGEST_SCANNED])
        text = _TOKEN.sub(r"\1 ***", _ENCODED_QUERY.sub("...", text))
        return text[:_LONGEST_MESSAGE]


def report_of(
    error: BaseException,
    record: RequestRecord,
    header: Callable[[bytes], bytes],
    scrub: Scrubber,
    repeated: int = 0,
) -> ErrorReport:
    """The report of *error*, with which the request of *record* ended; *header* gives the headers of the request.

    *repeated* is the number of equal errors before it that were not reported.
    """
    headers = _headers(header, scrub)
    host = headers.get("host", "")
    shown = scrub(_shown_target(record))
    return ErrorReport(
        kind=type(error).__name__,
        message=scrub(_message(error)),
        frames=_frames(error),
        causes=[(type(cause).__name__, scrub(_message(cause))) for cause in _causes(error)],
        at=record.ended,
        method=record.method,
        url=f"{record.scheme}://{host}{shown}" if host else shown,
        headers=headers,
        metadata=_metadata(record, scrub, repeated) | _explained(error),
    )


def _message(error: BaseException) -> str:
    return error.logged if isinstance(error, ImgforgeError) else str(error) or type(error).__name__


def _frames(error: BaseException) -> list[Frame]:
    summary = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), limit=-_MOST_FRAMES, lookup_lines=False
    )
    return [Frame(frame.filename, frame.lineno or 0, frame.name) for frame in summary]


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    while error.__cause__ is not None and len(causes) < _MOST_CAUSES:
        error = error.__cause__
        causes.append(error)
    return causes


def _headers(header: Callable[[bytes], bytes], scrub: Scrubber) -> dict[str, str]:
    values = {name: header(name.encode("ascii"))[:_LONGEST_HEADER].decode("latin-1") for name in _HEADERS}
    return {name: scrub(value) for name, value in values.items() if value}


def _metadata(record: RequestRecord, scrub: Scrubber, repeated: int) -> dict[str, str | Mapping[str, str]]:
    metadata: dict[str, str | Mapping[str, str]] = {"Request ID": record.identity}
    if record.job is not None:
        metadata["Pre-rendering"] = f"try {record.job.tries} of a job of {record.job.request or 'a notification'}"
    if record.image is not None:
        source = record.source or shown_source(record.image.source)
        metadata["Source Image URL"] = scrub(source)
        metadata["Source Image Origin"] = scrub(_origin(source))
        metadata["Options"] = {name: scrub(text) for name, text in asked_options(record.image).items()}
    metadata["Status"] = str(record.fallback or record.status)
    if record.trace_id:
        metadata["Trace ID"] = record.trace_id
    if repeated:
        metadata["Unreported Since The Last Report"] = str(repeated)
    return metadata


def _explained(error: BaseException) -> dict[str, str]:
    """Where docs/errors.md explains the error, and the settings that decide it."""
    entry = entry_of(error) if isinstance(error, ImgforgeError) else None
    if entry is None:
        return {}
    explained = {"Documentation": f"{DOCUMENT}#{entry.anchor}"}
    return explained | ({"Settings": ", ".join(entry.variables)} if entry.settings else {})


def _origin(source: str) -> str:
    scheme, separator, rest = source.partition("://")
    return scheme + separator + rest.partition("/")[0]


def _shown_target(record: RequestRecord) -> str:
    """The target with `***` for the signature, and the source as logs have it; of others the path alone."""
    path = record.target.partition(b"?")[0].decode("utf-8", "replace")
    if record.image is None:
        return "/***" if record.job is not None or record.route.endswith("{*path}") else path
    options: list[str] = []
    for part in path.split("/")[2:]:  # the first part may be the signature, and has no option
        if part in {"plain", "enc"} or (options and ":" not in part and part != "-"):
            break
        if ":" in part:
            name = part.partition(":")[0]
            options.append(f"{name}:***" if name in _URL_OPTIONS else part)
        elif part == "-" and options:
            options.append(part)
    source = record.source or shown_source(record.image.source)
    return "/".join(["", "***", *options, "plain", source])
