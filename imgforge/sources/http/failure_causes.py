"""Why a request to an origin failed, in the words that an operator searches for."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error as network

__all__ = ["cause_of"]

# The first that matches names the cause.
_KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("DNS", (network.DNSLookupError,)),
    ("connection refused", (network.ConnectionRefusedError,)),
    ("timeout", (network.TimeoutError,)),
    ("TLS", (SSL.Error, VerificationError)),
)


def cause_of(error: BaseException) -> str:
    """The kind of failure, if it is a common one, and the texts of Twisted and OpenSSL, also where they are wrapped."""
    errors = [reason.value for reason in getattr(error, "reasons", ())] or [error]
    kind = next((name for name, kinds in _KINDS if any(isinstance(reason, kinds) for reason in errors)), "")
    text = "; ".join(str(reason) or type(reason).__name__ for reason in errors)
    return f"{kind}: {text}" if kind else text
