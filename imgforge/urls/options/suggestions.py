"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["did_you_mean", "unknown_option"]

_LONGEST = 40  # characters; names are shorter, and long texts take long to compare
# URL schemes of sources, here or in the peers: such a word begins a source URL that lacks plain/ before it.
_SCHEMES = frozenset({"http", "https", "local", "file", "data", "s3", "gs", "abs", "swift", "sample"})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'width'?` with the *known* name most similar to *name*; empty where none is similar."""
    if len(name) > _LONGEST:
        return ""
    near = difflib.get_close_matches(name.lower(), list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_option(kind: str, name: str, arguments: Sequence[str], text: str, known: Iterable[str]) -> str:
    """The error for an option called *name*, which is not *known*; *text* is the whole option as sent.

    A source URL without `plain/` looks like an option named like its scheme.
    """
    hint = "; a source URL needs plain/ before it"
    if name.lower() not in _SCHEMES:
        is_url = arguments[:1] == [""] or any(one.startswith("//") for one in arguments[:1])
        hint = did_you_mean(name, known) or (hint if is_url else "")
    return f"unknown {kind} {name!r} in {text!r}{hint}"
