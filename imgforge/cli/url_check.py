"""Whether a URL would be served under the given settings: its signature first, then its options and its source."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from imgforge.cli.known_forms import KnownForms
from imgforge.errors import BadOption, ImgforgeError, OptionForbidden
from imgforge.service import url_settings
from imgforge.urls import SignedUrl, Signer, UrlParser

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["Refused", "UrlCheck"]

_LONGEST = 4096  # characters around the path, of a URL that may be judged by its form


class Refused(Exception):
    """The URL is refused, for a reason other than its signature; the message says why."""


class UrlCheck:
    """Checks URLs as the server does, except that `unsafe` never counts as a signature."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.path_prefix
        rules = url_settings(settings)
        self._parser = UrlParser(replace(rules, allow_unsigned=False))
        self._forms = KnownForms(rules)
        pairs = zip(settings.key, settings.salt, strict=True)
        self._signers = tuple(Signer(key, salt, settings.signature_size) for key, salt in pairs)

    def check(self, url: str) -> SignedUrl:
        """The parts of *url*, which is good; raises `BadSignature` or another `ImgforgeError`, or `Refused`."""
        signed = SignedUrl.parse(url, self._prefix)
        if self._is_known(signed):
            return signed
        try:
            target = signed.target.encode()
            self._parser.parse_info(target) if signed.endpoint else self._parser.parse(target)
        except (BadOption, OptionForbidden) as error:
            raise Refused(f"the signature is good, but the path is refused: {error}") from None
        except UnicodeError:
            raise Refused("the path is not UTF-8") from None
        if not signed.endpoint:
            self._forms.add(signed.path)
        return signed

    def reason(self, url: str) -> str:
        """Why *url* is refused; empty if it is good."""
        try:
            self.check(url)
        except (ImgforgeError, Refused) as error:
            return str(error)
        return ""

    def _is_known(self, url: SignedUrl) -> bool:
        """Whether *url* is signed, with options that were good before and a source that is good at a glance."""
        if url.endpoint or url.path not in self._forms or not url.signature.isascii():
            return False
        if len(url.signature) + len(url.prefix) + len(url.query) > _LONGEST:
            return False
        signature, path = url.signature.encode("ascii"), url.path.encode("ascii")
        return any(hmac.compare_digest(signature, signer.signature(path)) for signer in self._signers)
