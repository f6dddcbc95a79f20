"""What an origin of the web says where it refuses a request, for the operator's log: a short text without secrets.

A page of an error often repeats the request: its query may be a signature, and its headers credentials.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from imgforge.observability import one_line, without_user_info
from imgforge.sources.http.origin_request import Refusal

__all__ = ["is_text", "refusal_text"]

_LONGEST = 200  # characters
_TEXTS = ("text/", "application/json", "application/problem+json", "application/xml", "application/problem+xml")
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_QUERY = re.compile(r"\?[^\s\"'<>]+")
_SHORTEST_SECRET = 6  # characters: what is shorter would hide words of the text


def is_text(headers: Mapping[str, str]) -> bool:
    """Whether a body with these *headers* is worth reading; many errors have no type."""
    return headers.get("content-type", "text/plain").strip().lower().startswith(_TEXTS)


def refusal_text(refusal: Refusal) -> str:
    """The beginning of the body, or the title of a page, without the values of the query and headers that were sent."""
    if b"\0" in refusal.body:
        return ""
    text = refusal.body.decode("utf-8", "replace").replace("\ufffd", "")
    if "html" in refusal.headers.get("content-type", "").lower():
        title = _TITLE.search(text)
        text = html.unescape(title[1] if title and title[1].strip() else _TAG.sub(" ", text))
    for secret in sorted(set(_secrets(refusal)), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _QUERY.sub("?...", without_user_info(text.encode()).decode("utf-8", "replace"))
    shown = one_line(" ".join(text.split()))
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."


def _secrets(refusal: Refusal) -> Iterator[str]:
    query = refusal.request.url.partition("?")[2]
    for part in re.split("[&=;]", query):
        yield from (value for value in (part, unquote_plus(part)) if len(value) >= _SHORTEST_SECRET)
    for value in refusal.request.headers.values():
        yield from (word for word in value.split() if len(word) >= _SHORTEST_SECRET)
