"""Encrypted source URLs: AES in CBC mode, PKCS #7 padding, preceded by the initialisation vector, as URL-safe base64.

The cipher hides; it does not authenticate. The signature authenticates, and is checked before anything is decrypted.
All failures give the same error, so that the server is no padding oracle.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from imgforge.errors import BadPath

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher, modes
    from cryptography.hazmat.primitives.padding import PKCS7

__all__ = ["SourceCipher"]

_BLOCK = 16


class SourceCipher:
    """Encrypts and decrypts source URLs with a key of 16, 24 or 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, source: str) -> bytes:
        """The initialisation vector and the ciphertext.

        The vector is a MAC of the URL: equal URLs have equal ciphertexts, so that caches recognise them.
        """
        text = source.encode("utf-8")
        vector = hmac.new(self._key, text, hashlib.sha256).digest()[:_BLOCK]
        cipher, padding = _cipher(self._key, vector)
        padder, encryptor = padding.padder(), cipher.encryptor()
        return vector + encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()

    def decrypt(self, message: bytes) -> str:
        """The URL; `BadPath` where *message* was not encrypted with this key."""
        vector, text = message[:_BLOCK], message[_BLOCK:]
        try:
            cipher, padding = _cipher(self._key, vector)
            unpadder, decryptor = padding.unpadder(), cipher.decryptor()
            padded = decryptor.update(text) + decryptor.finalize()
            return (unpadder.update(padded) + unpadder.finalize()).decode("utf-8")
        except ValueError:
            raise BadPath("the encrypted source cannot be decrypted") from None


def _cipher(key: bytes, vector: bytes) -> tuple[Cipher[modes.CBC], PKCS7]:
    """AES and the padding; they are imported where a source is encrypted: the supervisor parses presets only."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    return Cipher(algorithms.AES(key), modes.CBC(vector)), PKCS7(_BLOCK * 8)
