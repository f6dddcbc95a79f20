"""A URL as the server reads it: the signature's verdict, and what is behind a signature, good or not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imgforge.config import Settings
from imgforge.errors import BadPath
from imgforge.model import ImageRequest, InfoRequest
from imgforge.service.explanation.signature_verdict import SignatureVerdict, signature_verdict
from imgforge.service.url_translation import url_settings
from imgforge.urls import BY_NAME, PRESET_NAMES, OptionTrace, SignedUrl, UrlParser

__all__ = ["ReadUrl", "read_request"]

_LONGEST = 32768  # characters of a URL; the server takes half as many bytes
_SOURCE_MARKS = frozenset({"plain", "enc"})


@dataclass(frozen=True, slots=True)
class ReadUrl:
    """The parts of a URL, and its signature's verdict."""

    url: SignedUrl
    verdict: SignatureVerdict
    parser: UrlParser

    def request(self, trace: OptionTrace | None = None) -> ImageRequest | InfoRequest:
        """The request behind the signature, whether that is good or not; raises the error of the path."""
        url, target = self.url, self.url.target
        if self.verdict.refusal is not None and _lacks_signature(url):
            target = f"{url.prefix}{url.endpoint}/unsafe/{url.signature}{url.path}"
        if url.endpoint:
            return self.parser.parse_info(target.encode(), trace)
        return self.parser.parse(target.encode(), trace)


def read_request(settings: Settings, path: str) -> ReadUrl:
    """The parts of the URL or *path*; raises `BadPath` for text that is not UTF-8."""
    url = SignedUrl.parse(path[:_LONGEST].strip(), settings.path_prefix)
    try:
        url.target.encode()
    except UnicodeError:
        raise BadPath("the path is not UTF-8") from None
    rules = url_settings(settings)
    lenient = UrlParser(replace(rules, keys=(), trusted_signatures=(), allow_unsigned=True))
    return ReadUrl(url, signature_verdict(url, rules), lenient)


def _lacks_signature(url: SignedUrl) -> bool:
    """Whether an option or the source is in the signature's place, as in a path that is still to be signed."""
    name = url.signature.partition(":")[0]
    option = ":" in url.signature and (name in BY_NAME or name in PRESET_NAMES)
    return option or url.signature in _SOURCE_MARKS
