"""What a client may have meant by a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["did_you_mean", "unknown_option"]

_LONGEST = 40  # characters: no name is as long, and a long text costs time to compare
# Schemes that sources have, here or in the peers: behind such a word there is a URL that has no plain/ before it.
_SCHEMES = frozenset({"http", "https", "local", "file", "data", "s3", "gs", "abs", "swift", "sample"})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'width'?` for the *known* name that is most like *name*; empty where none is."""
    if len(name) > _LONGEST:
        return ""
    near = difflib.get_close_matches(name.lower(), list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_option(kind: str, name: str, arguments: Sequence[str], text: str, known: Iterable[str]) -> str:
    """The line for an option called *name* that is not among the *known* ones; *text* is all of it, as it was sent.

    A source URL that stands without `plain/` looks like an option that is called as its scheme.
    """
    hint = "; a source URL needs plain/ before it"
    if name.lower() not in _SCHEMES:
        looks_so = arguments[:1] == [""] or any(one.startswith("//") for one in arguments[:1])
        hint = did_you_mean(name, known) or (hint if looks_so else "")
    return f"unknown {kind} {name!r} in {text!r}{hint}"
