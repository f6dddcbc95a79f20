"""Errors that explain themselves (IMGFORGE_DEVELOPMENT_ERRORS_MODE): cause, cure, settings, and tracebacks.

The first line of the text is the one that clients get without it. Everything is escaped: a URL's text is a stranger's.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from twisted.python.failure import Failure
from twisted.web.server import Request

from imgforge.error_catalogue import DOCUMENT, entry_of
from imgforge.errors import ImgforgeError
from imgforge.web.http import Answer, accepted_types, joined_header, record_of

__all__ = ["DevelopmentErrors"]

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.3rem;overflow-wrap:anywhere}th{text-align:left;vertical-align:top;"
    "padding-right:1rem;white-space:nowrap}td{overflow-wrap:anywhere}pre{overflow:auto}"
)
_POLICY = b"default-src 'none'; style-src 'unsafe-inline'"
_TEXT_HEADERS = frozenset({b"Content-Type", b"Content-Security-Policy"})


@dataclass(frozen=True, slots=True)
class DevelopmentErrors:
    """Makes the bodies of errors; *hints* has further lines for an error of a target."""

    hints: Callable[[ImgforgeError, bytes], Sequence[str]]

    def answer(self, plain: Answer, error: ImgforgeError, failure: Failure, request: Request) -> Answer:
        """*plain* with a body that explains *error*: HTML where the client accepts it, else text."""
        rows = list(self._rows(error, request))
        unexpected = not isinstance(failure.value, ImgforgeError)
        traceback = failure.getTraceback() if unexpected else ""
        headers = [*plain.headers, (b"Vary", b"Accept")]
        accept = joined_header(request, b"accept").decode("latin-1")
        if "text/html" not in accepted_types(accept):
            width = max(len(name) for name, _ in rows)
            lines = [error.message, "", *(f"{name:<{width}}  {value}" for name, value in rows)]
            lines += ["", traceback] if traceback else []
            return replace(plain, headers=headers, body="\n".join(lines).rstrip().encode("utf-8", "replace") + b"\n")
        headers = [(name, value) for name, value in headers if name not in _TEXT_HEADERS]
        headers += [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Security-Policy", _POLICY)]
        return replace(plain, headers=headers, body=_page(error, rows, traceback))

    def _rows(self, error: ImgforgeError, request: Request) -> Iterator[tuple[str, str]]:
        yield "status", str(error.status)
        entry = entry_of(error)
        if entry is not None:
            yield "at fault", entry.part
        if error.cause:
            yield "cause", error.cause
        for hint in self.hints(error, record_of(request).target):
            yield "hint", hint
        if entry is not None:
            yield "why", entry.cause
            yield "cure", entry.cure
            if entry.settings:
                yield "settings", ", ".join(entry.variables)
            yield "see", f"{DOCUMENT}#{entry.anchor}"
        yield "request", (request.responseHeaders.getRawHeaders("X-Request-ID") or [""])[0]


def _page(error: ImgforgeError, rows: list[tuple[str, str]], traceback: str) -> bytes:
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>\n" for name, value in rows)
    title = html.escape(error.message)
    end = f"<pre>{html.escape(traceback)}</pre>\n" if traceback else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{error.status} {title}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n<table>\n{cells}</table>\n{end}</body></html>\n"
    ).encode("utf-8", "replace")
