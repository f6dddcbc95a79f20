"""The answers of errors for developers, with the mistakes of a wrong signature."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from imgforge.config import Settings
from imgforge.errors import BadSignature, ImgforgeError
from imgforge.urls import SignedUrl, signature_mistakes
from imgforge.web import ErrorAnswers, development_errors

__all__ = ["explaining_errors"]

# Characters of a signature from which on its mistakes are told: of shorter ones clients could guess one piece after
# another, and so make signatures without a key. 40 characters have 120 bits at least.
_SHORTEST = 40


def explaining_errors(settings: Settings) -> ErrorAnswers:
    """Returns what makes the body of an error explain it, under *settings*."""
    pairs = tuple(zip(settings.key, settings.salt, strict=False))

    def hints(error: ImgforgeError, target: bytes) -> Sequence[str]:
        if not isinstance(error, BadSignature):
            return ()
        url = SignedUrl.parse(target.decode("utf-8", "replace"), settings.path_prefix)
        short = len(unquote(url.signature)) < _SHORTEST
        # Without pairs only a signature that is missing is told.
        return signature_mistakes(url, () if short else pairs, settings.signature_size)

    return development_errors(hints)
