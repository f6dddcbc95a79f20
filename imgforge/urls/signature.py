"""Signatures: HMAC-SHA256(key, salt + path), cut to a size, as unpadded URL-safe base64.

They are checked over the bytes of the path as it was sent, before any of it is decoded, so that no other spelling of a
signed URL passes for it.
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

# Proxies in front may fold the slashes of `plain/http://` into one; imgproxy signs and takes both spellings.
_FOLDED = re.compile(rb"/plain/([A-Za-z0-9+.-]+):/(?!/)")


class Signer:
    """Signs paths with one key and salt; *size* is how many bytes of the digest are kept."""

    def __init__(self, key: bytes, salt: bytes, size: int = 32) -> None:
        # The hash of the key and the salt is the same for all paths: it is computed once and copied.
        self._started = hmac.new(key, salt, hashlib.sha256)
        self._size = size

    def signature(self, path: bytes) -> bytes:
        """The signature of *path*, which starts with the slash behind the signature."""
        mac = self._started.copy()
        mac.update(path)
        return base64.urlsafe_b64encode(mac.digest()[: self._size]).rstrip(b"=")

    def sign(self, path: str) -> str:
        """The whole signed path: `/<signature>` and *path*."""
        return f"/{self.signature(path.encode()).decode('ascii')}{path}"


class Verifier:
    """Decides which signatures are good.

    Without any key every signature is, where *allow_unsigned* says so (as in imgproxy), and none otherwise.
    """

    def __init__(self, signers: Sequence[Signer], trusted: Sequence[str], *, allow_unsigned: bool) -> None:
        self._signers = tuple(signers)
        self._trusted = tuple(signature.encode() for signature in trusted)
        self._allow_unsigned = allow_unsigned

    def check(self, signature: bytes, path: bytes) -> None:
        """Raise `BadSignature` unless *signature* stands for *path*; every pair is compared, in constant time.

        Where anything passes for a signature, `BadPath` still tells those who left it out.
        """
        if self._allow_unsigned and (signature == UNSAFE or not self._signers):
            if b":" in signature:
                raise BadPath("the signature is missing: the path begins with an option")
            return
        good = False
        for trusted in self._trusted:
            good |= hmac.compare_digest(signature, trusted)
        unfolded = _FOLDED.sub(_unfold, path, count=1)
        for spelling in {path, unfolded}:
            for signer in self._signers:
                good |= hmac.compare_digest(signature, signer.signature(spelling))
        if not good:
            raise BadSignature("the signature does not match the path")


def _unfold(match: re.Match[bytes]) -> bytes:
    return b"/plain/" + match[1] + (b":///" if match[1] == b"local" else b"://")
