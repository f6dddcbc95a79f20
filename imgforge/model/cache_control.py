"""Cache-Control (RFC 9111, section 5.2): the directives of a header, and the same with bounded lifetimes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["CacheControl", "delta_seconds"]

_DIRECTIVE = re.compile(r'[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*=[ \t]*(?:"(.*)"|([^\s"]*)))?[ \t]*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)

_FORBIDDING = frozenset({"no-store", "no-cache", "private"})
_LIFETIMES = ("max-age", "s-maxage")
_STALE = ("stale-while-revalidate", "stale-if-error")


def delta_seconds(value: str) -> int | None:
    """The number of seconds in a directive's *value*; None where it is malformed."""
    return int(value) if _SECONDS.fullmatch(value) else None


@dataclass(frozen=True, slots=True)
class CacheControl:
    """The directives of a header in order, as (name in lower case, value without quotes, text as received).

    Malformed parts are left out. A name within a quoted value or within a longer name is not a directive.
    """

    directives: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> CacheControl:
        """The directives in *text*; takes time in proportion to its length, however hostile."""
        found = []
        for part in _parts(text):
            match = _DIRECTIVE.fullmatch(part)
            if match is not None:
                name, quoted, token = match.groups()
                value = (token or "") if quoted is None else _ESCAPED.sub(r"\1", quoted)
                found.append((name.lower(), value, part.strip(" \t")))
        return cls(tuple(found))

    def __contains__(self, name: str) -> bool:
        return any(name == one for one, _, _ in self.directives)

    def value(self, name: str) -> str | None:
        """The value of the first directive called *name* (RFC 9111, section 4.2.1); None without one."""
        return next((value for one, value, _ in self.directives if one == name), None)

    @property
    def forbids(self) -> bool:
        """Whether shared caches may not reuse an answer without revalidation: no-store, no-cache or private."""
        return any(name in _FORBIDDING for name, _, _ in self.directives)

    def within(self, remaining: int, age: int = 0, default: int = 0) -> CacheControl:
        """The directives for an answer that is *age* seconds old and expires in *remaining* seconds.

        Every lifetime, and every period after it in which a stale answer may be used, ends by then; a malformed one is
        0. Without max-age, no-store and no-cache the lifetime is *default* seconds.
        """
        lifetimes = [
            (name, min(max(0, (delta_seconds(value) or 0) - age), remaining))
            for name, value, _ in self.directives
            if name in _LIFETIMES
        ]
        fresh = max((lifetime for _, lifetime in lifetimes), default=0)
        bounded = iter(lifetimes)
        result = []
        for name, value, text in self.directives:
            if name in _LIFETIMES:
                result.append(_timed(*next(bounded)))
            elif name in _STALE:
                result.append(_timed(name, min(delta_seconds(value) or 0, remaining - fresh)))
            else:
                result.append((name, value, text))
        if "max-age" not in self and "no-store" not in self and "no-cache" not in self:
            result.insert(0, _timed("max-age", min(default, remaining)))
        return CacheControl(tuple(result))

    def shared(self) -> CacheControl:
        """The directives with `public`, unless they contain it or forbid reuse."""
        if self.forbids or "public" in self:
            return self
        return CacheControl((*self.directives, ("public", "", "public")))

    def __str__(self) -> str:
        return ", ".join(text for _, _, text in self.directives)


def _timed(name: str, lifetime: int) -> tuple[str, str, str]:
    return name, str(lifetime), f"{name}={lifetime}"


def _parts(text: str) -> Iterator[str]:
    """*text* split at its commas outside quotes; after a quote that is never closed, at all commas."""
    start = at = 0
    quoted = False
    while at < len(text):
        char = text[at]
        if char == '"':
            quoted = not quoted
        elif char == "\\" and quoted:
            at += 1
        elif char == "," and not quoted:
            yield text[start:at]
            start = at + 1
        at += 1
    yield from text[start:].split(",") if quoted else (text[start:],)
