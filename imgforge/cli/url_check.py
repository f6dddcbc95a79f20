"""Whether a URL would be served under the given settings: its signature first, then its options and its source."""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from imgforge.errors import BadOption, ImgforgeError, OptionForbidden
from imgforge.service import url_settings
from imgforge.urls import SignedUrl, Signer, UrlParser

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["Refused", "UrlCheck"]

_LONGEST = 16384  # bytes of a path that the server takes
# The options, the source, plain or in base64, and its format, of most paths; the options have SEPARATOR.
_PATH = (
    r"((?:/[^/%]*SEPARATOR[^/%]*)*+)/"
    r"(?:(plain/)((?:[A-Za-z0-9/:._~-]|%[0-9A-Fa-f]{2})+)(?:@([a-z0-9]+))?|([A-Za-z0-9_-][A-Za-z0-9_/-]*)(?:\.([a-z0-9]+))?)"
)
_ENCRYPTED = "enc/"
_MOST_KNOWN = 4096  # combinations of options and formats


class Refused(Exception):
    """The URL is refused, for a reason other than its signature; the message says why."""


class UrlCheck:
    """Checks URLs as the server does, except that `unsafe` never counts as a signature.

    Options that have been parsed once are remembered: most of a million URLs have the same ones.
    """

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.path_prefix
        rules = url_settings(settings)
        self._parser = UrlParser(replace(rules, allow_unsigned=False))
        self._path = re.compile(_PATH.replace("SEPARATOR", re.escape(rules.arguments_separator)))
        # Otherwise a part of what looks like base64 may be a preset, or a name for search engines.
        self._any_base64 = not rules.only_presets and not rules.base64_url_includes_filename
        pairs = zip(settings.key, settings.salt, strict=True)
        self._signers = tuple(Signer(key, salt, settings.signature_size) for key, salt in pairs)
        self._known: set[tuple[str, str, str]] = set()

    def check(self, url: str) -> SignedUrl:
        """The parts of *url*, which is good; raises `BadSignature` or `Refused`."""
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
        self._remember(signed)
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
        form = self._form(url)
        if form not in self._known or not url.signature.isascii():
            return False
        signature, path = url.signature.encode("ascii"), url.path.encode("ascii")
        return any(hmac.compare_digest(signature, signer.signature(path)) for signer in self._signers)

    def _remember(self, url: SignedUrl) -> None:
        form = self._form(url)
        if form is not None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add(form)

    def _form(self, url: SignedUrl) -> tuple[str, str, str] | None:
        """The options, `plain/` or nothing, and the format of *url*; None where its source needs the whole parser."""
        path = url.path
        if url.endpoint or len(path) + len(url.prefix) + len(url.query) > _LONGEST // 2 or not path.isascii():
            return None
        match = self._path.fullmatch(path)
        if match is None:
            return None
        head, plain, source, extension, encoded, encoded_extension = match.groups("")
        try:
            if plain:
                readable = unquote(source, errors="strict") if "%" in source else source
            elif self._any_base64 and not encoded.startswith(_ENCRYPTED):
                encoded = encoded.replace("/", "")
                readable = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            else:
                return None
        except ValueError:
            return None
        return (head, plain, extension or encoded_extension) if readable.isprintable() else None
