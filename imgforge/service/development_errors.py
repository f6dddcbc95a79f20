"""The answers of errors for developers, with the mistakes of a wrong signature."""

from __future__ import annotations

from collections.abc import Sequence

from imgforge.config import Settings
from imgforge.errors import BadSignature, ImgforgeError
from imgforge.urls import SignedUrl, signature_mistakes
from imgforge.web import ErrorAnswers, development_errors

__all__ = ["explaining_errors"]


def explaining_errors(settings: Settings) -> ErrorAnswers:
    """Returns what makes the body of an error explain it, under *settings*."""
    pairs = tuple(zip(settings.key, settings.salt, strict=False))

    def hints(error: ImgforgeError, target: bytes) -> Sequence[str]:
        if not isinstance(error, BadSignature):
            return ()
        url = SignedUrl.parse(target.decode("utf-8", "replace"), settings.path_prefix)
        return signature_mistakes(url, pairs, settings.signature_size)

    return development_errors(hints)
