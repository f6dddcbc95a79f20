"""What a response to a request with only-if-cached says about the cache of a server."""

from __future__ import annotations

import re
import time

from imgforge.cli.common import escaped, rfc3339
from imgforge.cli.server_connection import ServerAnswer

__all__ = ["cached_state"]

_TIME_TO_LIVE = re.compile(r";\s*ttl=(-?[0-9]{1,12})")
_TIER = re.compile(r'detail="HIT ([a-z0-9_-]{1,40})')
_NOT_CACHED = 504
_LONGEST_REASON = 200  # characters


def cached_state(answer: ServerAnswer) -> dict[str, object]:
    """`cached` (None where the server refuses the request), `fresh_until`, and the headers that clients get."""
    headers = answer.headers
    status = headers.get("cache-status", "")
    hit = "hit" in (part.strip() for part in status.split(";"))
    if answer.status == _NOT_CACHED or (answer.status < 400 and not hit):
        return {"cached": False, "status": answer.status}
    if answer.status >= 400:
        return {"cached": None, "status": answer.status, "error": _refusal(answer)}
    lifetime = _TIME_TO_LIVE.search(status)
    tier = _TIER.search(status)
    return {
        "cached": True,
        "status": answer.status,
        "state": "stale" if "stale" in status else "fresh",
        "tier": tier[1] if tier else None,
        "fresh_until": rfc3339(time.time() + int(lifetime[1])) if lifetime else None,
        "key": headers.get("x-cache-key"),
        "content_type": headers.get("content-type"),
        "bytes": int(headers["content-length"]) if headers.get("content-length", "").isdecimal() else None,
        "etag": headers.get("etag"),
        "cache_control": headers.get("cache-control"),
        "age": headers.get("age"),
    }


def _refusal(answer: ServerAnswer) -> str:
    """The status, and the first line of the text with its control characters escaped."""
    line = next(iter(answer.text.strip().splitlines()), "")[:_LONGEST_REASON]
    reason = escaped(line)
    message = f"the server answers {answer.status}" + f": {reason}" * bool(reason)
    if answer.status == 403 and "bearer token" in reason:
        message += " (set IMGFORGE_SECRET to that of the server)"
    return message
