r"""The syntax of environment files, as imgproxy documents and its parser has it.

# a comment                          NAME=value   # another one
export NAME=value                    NAME: value
NAME="\"a\"\n$OTHER ${OTHER} \$"     escapes, and variables: of the lines above, else of the environment
NAME='$literal'                      neither
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["LineMistake", "parse_env_file"]

_MOST_LINES = 10_000
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:](.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\([^$])")
_ESCAPED = {"n": "\n", "r": "\r"}
_VARIABLE = re.compile(r"(\\)?\$(\()?(?:\{([A-Z0-9_]+)\}|([A-Z0-9_]+))?")


class LineMistake(ValueError):
    """A line that cannot be read; the message has its number, and nothing of what it holds."""


def parse_env_file(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of *text*, in which `$NAME` stands for one of the lines above, or of *environ*, or nothing.

    Raises `LineMistake`.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if len(lines) > _MOST_LINES:
        raise LineMistake(f"has more than {_MOST_LINES} lines")
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment is None or "\0" in line:
            raise LineMistake(f"line {number} must be NAME=value")
        found[assignment[1]] = _value(_without_comment(assignment[2]).strip(" \t"), {**environ, **found})
    return found


def _without_comment(text: str) -> str:
    """*text* up to a `#` that is in no quotes."""
    quote, escaped = "", False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = char == "\\" and quote == '"'
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            return text[:place]
    return text


def _value(text: str, known: Mapping[str, str]) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text[1:-1])
    return _VARIABLE.sub(lambda found: _expanded(found, known), text)


def _expanded(found: re.Match[str], known: Mapping[str, str]) -> str:
    if found[1] or found[2]:  # \$NAME and $(command) are texts
        return found[0][1:]
    name = found[3] or found[4]
    return known.get(name, "") if name else found[0]
