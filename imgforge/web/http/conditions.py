"""What a client that has some of an answer already wants of it (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from imgforge.model import Unsatisfiable, byte_range
from imgforge.web.http.response import Answer, error_headers

__all__ = ["Conditions", "conditioned", "not_modified", "not_satisfiable", "precondition_failed", "precondition_fails"]

_TAG = re.compile(r'"[^"]*"')
_WHOLE_TAG = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True, slots=True)
class Conditions:
    """The request headers that can turn an answer into 304, 206, 412 or 416; empty where they are absent."""

    if_none_match: str = ""
    if_modified_since: str = ""
    if_range: str = ""
    range: str = ""
    if_match: str = ""
    if_unmodified_since: str = ""


def conditioned(answer: Answer, conditions: Conditions, now: float) -> Answer:
    """*answer* as the conditions want it: 304, a part, 412, 416, or as it is. *now* is in seconds since the epoch."""
    if answer.status != 200:
        return answer
    headers = dict(answer.headers)
    etag = headers.get(b"ETag", b"").decode("ascii")
    modified = headers.get(b"Last-Modified", b"").decode("ascii")
    if precondition_fails(etag, modified, conditions):
        return precondition_failed()
    if not_modified(etag, modified, conditions):
        return Answer(304, [(name, value) for name, value in answer.headers if not name.startswith(b"Content-")])
    if not conditions.range or not _same(etag, modified, conditions.if_range, now):
        return answer
    length = len(answer.body)
    try:
        part = byte_range(conditions.range, length)
    except Unsatisfiable:
        return not_satisfiable(b"bytes */%d" % length)
    if part is None:
        return answer
    start, end = part
    told = (b"Content-Range", b"bytes %d-%d/%d" % (start, end - 1, length))
    return Answer(206, [*answer.headers, told], answer.body[start:end])


def precondition_fails(etag: str, modified: str, conditions: Conditions) -> bool:
    """Whether the client wants a certain body, and this is another one (section 13.1.1: strong tags only)."""
    if conditions.if_match:
        named = not etag.startswith("W/") and etag in _WHOLE_TAG.findall(conditions.if_match)
        return not named and conditions.if_match.strip() != "*"
    since, changed = _moment(conditions.if_unmodified_since), _moment(modified)
    return since is not None and changed is not None and changed > since


def not_modified(etag: str, modified: str, conditions: Conditions) -> bool:
    """Whether the client's copy is still good (RFC 9110, section 13.2.2: If-None-Match comes first)."""
    if conditions.if_none_match:
        if conditions.if_none_match.strip() == "*":
            return True
        return bool(etag) and etag.removeprefix("W/") in _TAG.findall(conditions.if_none_match)
    since, changed = _moment(conditions.if_modified_since), _moment(modified)
    return since is not None and changed is not None and changed <= since


def precondition_failed() -> Answer:
    """412."""
    return Answer(412, error_headers(), b"the image is not the one that the request is for\n")


def not_satisfiable(content_range: bytes) -> Answer:
    """416; *content_range* tells how long the body is, b"" where that is not known."""
    headers = error_headers()
    if content_range:
        headers.append((b"Content-Range", content_range))
    return Answer(416, headers, b"the range is not within the image\n")


def _same(etag: str, modified: str, if_range: str, now: float) -> bool:
    """Whether If-Range, if there is one, names this very body: its strong tag, or its date."""
    if not if_range:
        return True
    if if_range.endswith('"'):
        return if_range == etag and not etag.startswith("W/")
    moment, changed = _moment(if_range), _moment(modified)
    # A date of this very second is no strong validator (section 8.8.2.2): there may be another body within it.
    return moment is not None and moment == changed and moment.timestamp() + 1 <= now


def _moment(text: str) -> datetime | None:
    """The date in *text*; None where it is none, or one without a zone: then there is no condition."""
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError):
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
