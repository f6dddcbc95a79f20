"""Encrypted source URLs: AES in CBC mode, PKCS #7 padding, the initialisation vector in front, as URL-safe base64.

The cipher hides; it does not authenticate. That a URL was not altered is what the signature is for, which is checked
before anything is decrypted, and every failure says the same.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from imgforge.errors import BadPath

__all__ = ["SourceCipher"]

_BLOCK = 16


class SourceCipher:
    """Encrypts and decrypts source URLs with a key of 16, 24 or 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, source: str) -> bytes:
        """Vector and ciphertext.

        The vector is a MAC of the URL: the same URL is encrypted the same way each time, so that caches know it again.
        """
        text = source.encode("utf-8")
        vector = hmac.new(self._key, text, hashlib.sha256).digest()[:_BLOCK]
        padder = PKCS7(_BLOCK * 8).padder()
        encryptor = Cipher(algorithms.AES(self._key), modes.CBC(vector)).encryptor()
        return vector + encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()

    def decrypt(self, message: bytes) -> str:
        """The URL; `BadPath` where *message* was not made with this key."""
        vector, text = message[:_BLOCK], message[_BLOCK:]
        try:
            decryptor = Cipher(algorithms.AES(self._key), modes.CBC(vector)).decryptor()
            unpadder = PKCS7(_BLOCK * 8).unpadder()
            padded = decryptor.update(text) + decryptor.finalize()
            return (unpadder.update(padded) + unpadder.finalize()).decode("utf-8")
        except ValueError:
            raise BadPath("the encrypted source cannot be decrypted") from None
