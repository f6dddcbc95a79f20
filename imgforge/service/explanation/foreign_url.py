"""URLs in the forms of other servers: what they are here."""

from __future__ import annotations

import re

from imgforge.urls import NEEDS_PLAIN

__all__ = ["foreign_form"]

_LONGEST = 2048  # characters that are looked at
# /<signature or unsafe>/[trim/][crop/][fit-in/][-]300x200/[left/][top/][smart/][filters:...]/source
_THUMBOR = re.compile(
    r"(?:https?://[^/]+)?/[\w=-]{1,64}/(?:meta/|debug/|trim[^/]*/|\d+x\d+:\d+x\d+/)*"
    r"(?:(?:adaptive-|full-)*fit-in/|(?=[^/]*\d)-?\d*x-?\d*/)"
)
# /<signature>/fill/300/400/sm/0/source
_BASIC = re.compile(r"(?:https?://[^/]+)?/[\w-]{1,64}/(?:fit|fill|fill-down|force|crop|auto)/\d+/\d+/[a-z]{2,4}/[01]/")


def foreign_form(url: str) -> str:
    """How the parts of *url* are written here, where it has the form of thumbor's or imgproxy's basic one; else ""."""
    begin = url.strip()[:_LONGEST]
    if _THUMBOR.match(begin):
        return (
            "this looks like a URL of thumbor's: here 300x200 is rs:fill:300:200, fit-in/300x200 rs:fit:300:200, "
            f"smart g:sm, filters are options of their own, and {NEEDS_PLAIN}, as in "
            "/SIGNATURE/rs:fill:300:200/g:sm/plain/http://example.com/a.jpg"
        )
    if _BASIC.match(begin):
        return (
            "this looks like imgproxy's basic form, gone there since 3.0: fill/300/400/sm/0 is rs:fill:300:400:0/g:sm"
        )
    return ""
