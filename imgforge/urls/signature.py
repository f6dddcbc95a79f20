"""Signatures: HMAC-SHA256(key, salt + path), truncated to a size, as unpadded URL-safe base64.

They cover the bytes of the path as sent and are checked before any of it is decoded, so that no other spelling of a
signed URL is valid.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

from imgforge.errors import BadPath, BadSignature

__all__ = ["Signer", "Verifier"]

UNSAFE = b"unsafe"
_UNSAFE_CAUSE = "'unsafe' is in the signature's place: unsigned URLs are taken with IMGFORGE_ALLOW_UNSIGNED only"

# Proxies may fold the slashes of `plain/http://` into one; imgproxy accepts signatures of both spellings.
_FOLDED = re.compile(rb"/plain/([A-Za-z0-9+.-]+):/(?!/)")


class Signer:
    """Signs paths with one key and salt; *size* is the number of bytes of the digest in a signature."""

    def __init__(self, key: bytes, salt: bytes, size: int = 32) -> None:
        # The hash state after the key and the salt is the same for all paths: it is computed once and copied.
        self._started = hmac.new(key, salt, hashlib.sha256)
        self._size = size

    def signature(self, path: bytes) -> bytes:
        """The signature of *path*, which starts with the slash after the signature."""
        mac = self._started.copy()
        mac.update(path)
        return base64.urlsafe_b64encode(mac.digest()[: self._size]).rstrip(b"=")

    def sign(self, path: str) -> str:
        """The whole signed path: `/<signature>` and *path*."""
        return f"/{self.signature(path.encode()).decode('ascii')}{path}"


class Verifier:
    """Verifies signatures.

    Without any key every signature is valid with *allow_unsigned* (as in imgproxy), and none without it.
    """

    def __init__(self, signers: Sequence[Signer], trusted: Sequence[str], *, allow_unsigned: bool) -> None:
        self._signers = tuple(signers)
        self._trusted = tuple(signature.encode() for signature in trusted)
        self._allow_unsigned = allow_unsigned

    def check(self, signature: bytes, path: bytes) -> None:
        """Raise `BadSignature` unless *signature* is valid for *path*; every pair is compared, in constant time.

        Where any signature is valid, `BadPath` still reports a missing one.
        """
        if self._allow_unsigned and (signature == UNSAFE or not self._signers):
            if b":" in signature:
                raise BadPath("the signature is missing: the path begins with an option")
            return
        valid = False
        for trusted in self._trusted:
            valid |= hmac.compare_digest(signature, trusted)
        unfolded = _FOLDED.sub(_unfold, path, count=1)
        for spelling in {path, unfolded}:
            for signer in self._signers:
                valid |= hmac.compare_digest(signature, signer.signature(spelling))
        if not valid:
            error = BadSignature("the signature does not match the path")
            raise error.caused_by(_UNSAFE_CAUSE) if signature == UNSAFE else error


def _unfold(match: re.Match[bytes]) -> bytes:
    return b"/plain/" + match[1] + (b":///" if match[1] == b"local" else b"://")
