"""The source part of a path, optionally with a format after it; and the rewriting of source URLs.

plain/https://example.com/a%20b.jpg@webp
aHR0cHM6Ly9leGFt/cGxlLmNvbS9hLmpwZw.webp
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes

from imgforge.errors import BadPath
from imgforge.model import is_data_url
from imgforge.urls.encryption import SourceCipher
from imgforge.urls.options import CONTROL, FORMATS, base64_bytes, did_you_mean

__all__ = ["NEEDS_PLAIN", "SourceRewriter", "build_path", "percent_decoded", "split_source"]

# What URLs of thumbor and imagor lack: in errors, and in the hint of `imgforge explain`.
NEEDS_PLAIN = "a source URL needs plain/ before it"

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FOLDED_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(?!/)")
# The part of a path that begins a source URL where it stands as it is.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?::\Z|(?::|%3A)(?:%2F){2})", re.IGNORECASE)
_WILDCARD = re.compile(r"\\\*")
_GROUP = re.compile(r"\$\{(\d+)\}")

# The most characters of a client's text that a message repeats.
_SHOWN = 60


def percent_decoded(text: str, part: str) -> str:
    """*text* decoded once; `BadPath` for broken escapes, text that is not UTF-8, and control characters.

    *part* is the part of the path that messages name.
    """
    decoded = text
    if "%" in text:
        if _BROKEN_ESCAPE.search(text):
            raise BadPath(f"a broken percent-escape in the {part}: {_shown(text)}")
        try:
            decoded = unquote_to_bytes(text).decode("utf-8")
        except UnicodeDecodeError:
            raise BadPath(f"the {part} is not UTF-8: {_shown(text)}") from None
    if CONTROL.search(decoded):
        raise BadPath(f"a control character in the {part}: {_shown(text)}")
    return decoded


def _shown(text: str) -> str:
    """The beginning of *text* for a message."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def split_source(
    parts: Sequence[str],
    *,
    with_filename: bool = False,
    any_format: bool = False,
    cipher: SourceCipher | None = None,
) -> tuple[str, str | None]:
    """The source URL and the format's canonical name (None without one), from the path's parts after the options.

    With *with_filename* the last part of a base64 source is a name for search engines, which is dropped. With
    *any_format* the format is dropped, whatever it is, since the source is streamed unprocessed. *cipher* decrypts
    encrypted sources.
    """
    if not parts or not any(parts):
        raise BadPath("the source is missing")
    if parts[0] == "plain":
        source, extension = _plain("/".join(parts[1:]))
        return source, None if any_format else _format(extension)
    encrypted = parts[0] == "enc" and len(parts) > 1  # `enc` alone is the base64 of two letters
    if encrypted and cipher is None:
        raise BadPath("encrypted sources need IMGFORGE_SOURCE_URL_ENCRYPTION_KEY")
    rest = parts[1:] if encrypted else parts
    try:
        message, extension = _base64("".join(rest[:-1] if with_filename and len(rest) > 1 else rest))
    except BadPath:
        if "plain" in parts:  # further on: the mistake is the part that ended the options before it
            raise BadPath(f"{_shown(parts[0])} is neither an option with arguments nor a source") from None
        if any(_SCHEME.match(part) for part in rest[1:]):  # as in the URLs of thumbor and imagor
            part = _shown(parts[0])
            raise BadPath(f"{part} is neither an option with arguments nor a source; {NEEDS_PLAIN}") from None
        raise
    source = _checked(cipher.decrypt(message) if encrypted and cipher is not None else _text(message))
    return source, None if any_format else _format(extension)


def _plain(text: str) -> tuple[str, str]:
    encoded, _, extension = text.partition("@")
    if "@" in extension:
        raise BadPath("more than one format after the source (write a '@' in the source as %40)")
    if not encoded:
        raise BadPath("the source is missing")
    return percent_decoded(_unfolded(encoded), "source"), extension


def _base64(text: str) -> tuple[bytes, str]:
    encoded, _, extension = text.partition(".")
    if "." in extension:
        raise BadPath(f"more than one format after a base64 source; {NEEDS_PLAIN}")
    encoded = encoded.rstrip("=")
    if not encoded:
        raise BadPath("the source is missing")
    try:
        message = base64_bytes(encoded)
    except ValueError:
        raise BadPath(f"the source is neither plain/ nor URL-safe base64: {_shown(encoded)}") from None
    return message, extension


def _text(message: bytes) -> str:
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath("the source is not UTF-8") from None


def _checked(source: str) -> str:
    if not source or CONTROL.search(source):
        raise BadPath("the source is empty or has a control character")
    return source


def _format(extension: str) -> str | None:
    if not extension:
        return None
    if extension not in FORMATS:
        raise BadPath(f"unknown format {_shown(extension)} after the source{did_you_mean(extension, FORMATS)}")
    return FORMATS[extension]


def _unfolded(source: str) -> str:
    """*source*, still percent-encoded, with both slashes after its scheme, which proxies may have folded into one."""
    match = _FOLDED_SCHEME.match(source)
    if match is None:
        return source
    return f"{match[1]}:{'///' if match[1] == 'local' else '//'}{source[match.end() :]}"


class SourceRewriter:
    """Rewrites source URLs: replacements first, then the base URL is prepended where it is missing.

    A data: URL stays as it is.
    """

    def __init__(self, base_url: str, replacements: Sequence[tuple[str, str]]) -> None:
        self._base_url = base_url
        self._replacements = tuple((_pattern(pattern), replacement) for pattern, replacement in replacements)

    def __call__(self, source: str) -> str:
        if is_data_url(source):
            return source
        for pattern, replacement in self._replacements:
            match = pattern.match(source)
            if match is not None:
                source = _filled(replacement, match) + source[match.end() :]
        return source if source.startswith(self._base_url) else self._base_url + source


def _pattern(text: str) -> re.Pattern[str]:
    """The pattern of a prefix in which `*` matches anything but a slash."""
    return re.compile(_WILDCARD.sub("([^/]*)", re.escape(text)))


def _filled(replacement: str, match: re.Match[str]) -> str:
    def group(reference: re.Match[str]) -> str:
        number = int(reference[1])
        return match[number] if number <= match.re.groups else reference[0]

    return _GROUP.sub(group, replacement)


def build_path(
    source: str,
    options: str = "",
    format: str | None = None,  # noqa: A002  # the option's own name
    *,
    encoding: str = "plain",
    cipher: SourceCipher | None = None,
) -> str:
    """The path to sign for *source*: `/<options>/plain/<source>@<format>`, its base64 or its encrypted form.

    *options* is text such as `rs:fit:300:200/q:80`; *encoding* is plain or base64; with a *cipher* it is ignored.
    """
    head = f"/{options.strip('/')}" if options.strip("/") else ""
    if cipher is not None:
        encoded = base64.urlsafe_b64encode(cipher.encrypt(source)).rstrip(b"=").decode("ascii")
        return f"{head}/enc/{encoded}" + (f".{format}" if format else "")
    if encoding == "plain":
        quoted = quote(source, safe="/:")
        if _FOLDED_SCHEME.match(quoted):  # a single slash is meant; an encoded colon keeps it
            quoted = quoted.replace(":", "%3A")
        return f"{head}/plain/{quoted}" + (f"@{format}" if format else "")
    encoded = base64.urlsafe_b64encode(source.encode("utf-8")).rstrip(b"=").decode("ascii")
    return f"{head}/{encoded}" + (f".{format}" if format else "")
