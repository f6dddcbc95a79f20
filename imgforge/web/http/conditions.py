"""Conditional and range requests (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imgforge.model import Unsatisfiable, byte_range, seconds_of_http_date
from imgforge.web.http.answer import Answer, error_headers

__all__ = [
    "Conditions",
    "conditioned",
    "confirmed_etag",
    "not_modified",
    "not_satisfiable",
    "precondition_failed",
    "precondition_fails",
]

_TAG = re.compile(r'"[^"]*"')
_WHOLE_TAG = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True, slots=True)
class Conditions:
    """The request headers that can turn a 200 into 304, 206, 412 or 416; empty if absent."""

    if_none_match: str = ""
    if_modified_since: str = ""
    if_range: str = ""
    range: str = ""
    if_match: str = ""
    if_unmodified_since: str = ""


_UNCONDITIONAL = Conditions()


def conditioned(answer: Answer, conditions: Conditions, now: float) -> Answer:
    """*answer*, or what *conditions* make of it: 206, 304, 412 or 416. *now* is in seconds since the epoch."""
    if answer.status != 200 or conditions == _UNCONDITIONAL:
        return answer
    headers = dict(answer.headers)
    etag = headers.get(b"ETag", b"").decode("ascii")
    modified = headers.get(b"Last-Modified", b"").decode("ascii")
    if precondition_fails(etag, modified, conditions):
        return precondition_failed()
    if not_modified(etag, modified, conditions):
        return Answer(304, [(name, value) for name, value in answer.headers if not name.startswith(b"Content-")])
    if not conditions.range or not _if_range_holds(etag, modified, conditions.if_range, now):
        return answer
    length = len(answer.body)
    try:
        part = byte_range(conditions.range, length)
    except Unsatisfiable:
        return not_satisfiable(b"bytes */%d" % length)
    if part is None:
        return answer
    start, end = part
    content_range = (b"Content-Range", b"bytes %d-%d/%d" % (start, end - 1, length))
    return Answer(206, [*answer.headers, content_range], answer.body[start:end])


def precondition_fails(etag: str, modified: str, conditions: Conditions) -> bool:
    """Whether If-Match or If-Unmodified-Since fails (section 13.1.1: by strong tags only)."""
    if conditions.if_match:
        matches = not etag.startswith("W/") and etag in _WHOLE_TAG.findall(conditions.if_match)
        return not matches and conditions.if_match.strip() != "*"
    since, changed = seconds_of_http_date(conditions.if_unmodified_since), seconds_of_http_date(modified)
    return since is not None and changed is not None and changed > since


def not_modified(etag: str, modified: str, conditions: Conditions) -> bool:
    """Whether the client's copy is still good (section 13.2.2: If-None-Match is evaluated first)."""
    if conditions.if_none_match:
        if conditions.if_none_match.strip() == "*":
            return True
        return bool(etag) and etag.removeprefix("W/") in _TAG.findall(conditions.if_none_match)
    since, changed = seconds_of_http_date(conditions.if_modified_since), seconds_of_http_date(modified)
    return since is not None and changed is not None and changed <= since


def confirmed_etag(conditions: Conditions) -> str:
    """The ETag that an origin's 304 without one confirms: that of the condition, if there is only one (else "")."""
    return conditions.if_none_match if _WHOLE_TAG.fullmatch(conditions.if_none_match) else ""


def precondition_failed() -> Answer:
    """412."""
    return Answer(412, error_headers(), b"the image has changed: If-Match or If-Unmodified-Since does not hold\n")


def not_satisfiable(content_range: bytes) -> Answer:
    """416. *content_range* has the length of the body, or is b"" if that is unknown."""
    headers = error_headers()
    if content_range:
        headers.append((b"Content-Range", content_range))
    return Answer(416, headers, b"the range is outside the image\n")


def _if_range_holds(etag: str, modified: str, if_range: str, now: float) -> bool:
    """Whether If-Range, if present, names the current body, by its strong tag or its date."""
    if not if_range:
        return True
    if if_range.endswith('"'):
        return if_range == etag and not etag.startswith("W/")
    moment, changed = seconds_of_http_date(if_range), seconds_of_http_date(modified)
    # A date within the current second is not a strong validator (section 8.8.2.2): the body may change within it.
    return moment is not None and moment == changed and moment + 1 <= now
