"""Names and passwords in URLs (`//user:password@host`), masked where settings and texts of libraries are shown."""

from __future__ import annotations

import re

__all__ = ["mask_user_info"]

_WORD = re.compile(r"\S+")
_AUTHORITY = re.compile(r"[^/?#]*")


def mask_user_info(text: str) -> str:
    """*text* with `***` for what stands before the @ of a URL, in time that grows linearly with its length.

    A password may have a slash or another @, by which it is no URL any more: rather too much is masked. An @ behind a
    host, or a host and its port, is one of a path.

    >>> mask_user_info("redis://me:pa/ss@w@host/0, https://cdn.example:8443/logo@2x.png")
    'redis://***@host/0, https://cdn.example:8443/logo@2x.png'
    """
    return _WORD.sub(lambda word: _masked(word[0]), text) if "@" in text else text


def _masked(word: str) -> str:
    first, *others = word.split("//")
    last = max((number for number, part in enumerate(others) if "@" in part), default=-1)
    shown = [first]
    for number, part in enumerate(others[: last + 1]):
        authority = _AUTHORITY.match(part)[0]  # type: ignore[index]  # it matches nothing as well
        if "@" in authority:
            shown.append(f"***@{authority.rpartition('@')[2]}{part[len(authority) :]}")
        elif _is_host(authority):
            shown.append(part)
        else:  # the user info has a slash, a question mark or a hash: it ends with the last @
            rest = "//".join(others[number:])
            return "//".join([*shown, f"***@{rest.rpartition('@')[2]}"])
    return "//".join([*shown, *others[last + 1 :]])


def _is_host(authority: str) -> bool:
    """Whether *authority* is no beginning of user info; `user:12` is one, as `/34@host` may follow."""
    host, colon, port = authority.rpartition(":")
    return not colon or authority.startswith("[") or (port.isdecimal() and ("." in host or host == "localhost"))
