"""Why an origin cannot be had, in the words that an operator looks for."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error as network

__all__ = ["cause_of"]

# The first that fits names the cause.
_KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("DNS", (network.DNSLookupError,)),
    ("connection refused", (network.ConnectionRefusedError,)),
    ("timeout", (network.TimeoutError,)),
    ("TLS", (SSL.Error, VerificationError)),
)


def cause_of(error: BaseException) -> str:
    """The kind of failure, if it is a usual one, and what Twisted or OpenSSL say; both may have wrapped the reasons."""
    errors = [reason.value for reason in getattr(error, "reasons", ())] or [error]
    kind = next((name for name, kinds in _KINDS if any(isinstance(one, kinds) for one in errors)), "")
    text = "; ".join(str(one) or type(one).__name__ for one in errors)
    return f"{kind}: {text}" if kind else text
