"""What Redis refuses, in one line for the operator: what happened, and what to do. No line has a password."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

from imgforge.concurrency import Stalled

if TYPE_CHECKING:
    from redis import RedisError

    from imgforge.model import RedisAddress

__all__ = ["RedisFault", "RedisTimeout", "fault_of"]

_URL = "IMGFORGE_CACHE_REDIS_URL"
_LONGEST_QUOTE = 200

# By words of the server's answer.
_ADVICE = (
    (("OOM",), "has no memory left and evicts nothing: set maxmemory-policy volatile-lru, or raise maxmemory"),
    (("LOADING",), "is loading its data from disk, and is used as soon as it is done"),
    (("READONLY",), f"is a replica that takes no writes: name the primary in {_URL}"),
    (("MASTERDOWN",), f"is a replica without its primary: name the primary in {_URL}"),
    (("MISCONF",), "cannot save to its disk and takes no writes: free its disk, or switch persistence off for a cache"),
    (("WRONGPASS", "invalid username", "invalid password"), f"rejects the user or the password of {_URL}"),
    (("NOAUTH", "Authentication required"), f"wants a password: add it to {_URL}"),
    (
        ("without any password configured", "no password is set"),
        f"has no password for this user: remove that of {_URL}",
    ),
    (("NOPERM", "permission"), "does not permit a command: the user needs ~imgforge:* and the commands of the manual"),
    (("DB index", "invalid DB"), f"has no database of that number: take a lower one in {_URL}, or raise `databases`"),
    (("MOVED", "ASK", "CLUSTERDOWN", "CROSSSLOT"), f"is a node of a cluster: name a server by itself in {_URL}"),
    (("max number of clients",), "has no connections left: raise maxclients"),
    (("WRONGTYPE",), "has another program's value under a name of imgforge: give each program a database of its own"),
    (("unknown command", "syntax error"), "does not know a command: imgforge needs Redis 6.2, Valkey, or newer"),
    (("BUSY",), "is busy with a script: look for who runs it"),
)


class RedisFault(OSError):
    """Redis cannot be reached, or refuses; the message is a line for the operator."""


class RedisTimeout(RedisFault, Stalled):
    """Redis does not answer in time."""


def fault_of(error: RedisError, address: RedisAddress, *, wrong_protocol: bool = False) -> RedisFault:
    """The fault that *error* of redis-py is, at the server at *address*.

    *wrong_protocol*: the server has never answered, so that it may speak TLS, or none.
    """
    from redis import exceptions

    if isinstance(error, exceptions.TimeoutError):
        hint = " (no TLS is spoken there? then write redis://)" if address.tls and wrong_protocol else ""
        return RedisTimeout(f"{address} does not answer in time{hint}: check its load and the network")
    text, cause = str(error), error.__context__
    if isinstance(cause, ssl.SSLError):
        return RedisFault(f"{address} {_tls_advice(cause)}")
    if isinstance(error, exceptions.ResponseError | exceptions.BusyLoadingError | exceptions.AuthenticationError):
        # The classes of redis-py stand for codes that it has taken off the text.
        code = {
            exceptions.OutOfMemoryError: "OOM",
            exceptions.BusyLoadingError: "LOADING",
            exceptions.ReadOnlyError: "READONLY",
            exceptions.MasterDownError: "MASTERDOWN",
            exceptions.ClusterDownError: "CLUSTERDOWN",
            exceptions.MovedError: "MOVED",
            exceptions.AskError: "ASK",
            exceptions.NoPermissionError: "NOPERM",
        }.get(type(error), "")
        return RedisFault(f"{address} {_advice(f'{code} {text}')}")
    if "max number of clients" in text:
        return RedisFault(f"{address} {_advice(text)}")
    closed = "closed by" in text or "reset by peer" in text
    hint = " (TLS is spoken there? then write rediss://)" if closed and wrong_protocol and not address.tls else ""
    return RedisFault(f"{address} cannot be reached{hint}, check that it runs and {_URL}: {_quoted(text)}")


def _advice(text: str) -> str:
    for marks, advice in _ADVICE:
        if any(re.search(rf"\b{mark}\b", text) for mark in marks):
            return advice
    return f"refuses a command: {_quoted(text)}"


def _tls_advice(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _quoted(error.verify_message or str(error))
        return (
            f"shows a certificate that is not trusted ({reason}): name its authority by ?ssl_ca_certs=FILE in {_URL} "
            "or by SSL_CERT_FILE"
        )
    reason = _quoted(error.reason or str(error))
    return f"fails in TLS ({reason}): check that {_URL} has the port of TLS, and ?ssl_certfile=...&ssl_keyfile=..."


def _quoted(text: str) -> str:
    """*text* in one line, shortened."""
    return "".join(char if char.isprintable() else " " for char in text[:_LONGEST_QUOTE]).strip()
