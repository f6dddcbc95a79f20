"""The error codes in stores' refusals: `<Code>` in XML, `reason` in Google's JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from imgforge.sources.http import Refusal

__all__ = ["error_code", "explanation"]

_NO_WORD = re.compile(r"[^A-Za-z0-9]")
_LONGEST = 64


def error_code(refusal: Refusal) -> str:
    """The store's word for why it refused, of letters and digits only; "" where it says none."""
    _, found, rest = refusal.body.partition(b"<Code>")
    if found:
        return _word(rest[:_LONGEST].partition(b"<")[0].decode("ascii", "replace"))
    if not refusal.body.lstrip().startswith(b"{"):
        return ""
    return next((_word(reason) for reason in _reasons(refusal.body)), "")


def explanation(status: int, code: str, cures: Mapping[str | int, str]) -> str:
    """A line for the operator's log: *code*, and the cure for it, else for *status*; "" for what is just missing."""
    cure = cures.get(code) or cures.get(status, "")
    return ": ".join(filter(None, [code if status != 404 or cure else "", cure]))


def _reasons(body: bytes) -> Iterable[str]:
    try:
        answer: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError, or msgspec's, which is a ValueError too
        return
    error = answer.get("error")
    errors = error.get("errors") if isinstance(error, dict) else None
    for each in errors if isinstance(errors, list) else ():
        if isinstance(each, dict) and isinstance(each.get("reason"), str):
            yield each["reason"]


def _word(text: str) -> str:
    return _NO_WORD.sub("", text[:_LONGEST])
