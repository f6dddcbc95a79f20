"""URLs of HTTP origins as they go over the wire."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from imgforge.errors import OriginFailed, SourceNotFound, SourceRefused

__all__ = ["Origin", "same_origin", "split_wire_url", "target_of_redirect", "wire_url"]

_PARTS = re.compile(r"(https?)://(\[[^\]/?#]+\]|[^:/?#@\[\]]+)(?::([0-9]{1,5}))?([/?].*)?", re.DOTALL)
_PORTS = {"http": 80, "https": 443}
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_NAME = 254
_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{_LONGEST_NAME}}}")
_SAFE = "%/:=&?~+!$,;'@()*[]"
_ESCAPED = re.compile(rf"(?:[A-Za-z0-9_.\-{re.escape(_SAFE.replace('%', ''))}]++|%[0-9A-Fa-f]{{2}})*+")


def wire_url(url: str) -> str:
    """*url* with other characters than ASCII escaped, the host encoded by IDNA, and without the fragment.

    `SourceNotFound` for an invalid URL. `SourceRefused` for user information: it would end in logs and caches, and is
    used to make one host look like another.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        raise SourceNotFound("the source is no valid URL") from None
    if "@" in parts.netloc:
        raise SourceRefused("the source URL carries user information")
    netloc = _host(host) if port is None else f"{_host(host)}:{port}"
    query = f"?{_escaped(parts.query)}" if parts.query else ""
    return f"{parts.scheme.lower()}://{netloc}{_escaped(parts.path or '/')}{query}"


class Origin(NamedTuple):
    """What a connection leads to."""

    scheme: str
    host: str  # a name in lower case, or an address without brackets
    port: int

    @property
    def authority(self) -> bytes:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}").encode("ascii")


def split_wire_url(url: str) -> tuple[Origin, bytes]:
    """The origin of a wire URL, and its path and query byte for byte; `ValueError` where *url* is none."""
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise ValueError("not a wire URL of http or https")
    scheme, host, port, target = parts.groups()
    target = target or "/"
    return _origin(scheme, host, port), (target if target[0] == "/" else f"/{target}").encode("ascii")


@lru_cache(maxsize=1024)
def _origin(scheme: str, host: str, port: str | None) -> Origin:
    return Origin(scheme, host.strip("[]").lower(), int(port) if port else _PORTS[scheme])


def target_of_redirect(url: str, location: bytes) -> str:
    """The URL that the *location* of a response to *url* leads to; `SourceRefused` where that is not http(s)."""
    try:
        target = urljoin(url, location.decode("utf-8", "replace"))
    except ValueError:
        raise OriginFailed("the origin redirects to something that is no URL") from None
    if not target.lower().startswith(("http://", "https://")):
        raise SourceRefused("the origin redirects to something other than http(s)")
    return wire_url(target)


def same_origin(one: str, other: str) -> bool:
    """Whether two wire URLs have the same scheme, host and port."""
    return urlsplit(one)[:2] == urlsplit(other)[:2]


def _escaped(text: str) -> str:
    if _ESCAPED.fullmatch(text):  # as almost all are
        return text
    return _BROKEN_PERCENT.sub("%25", quote(text, safe=_SAFE))


def _host(host: str) -> str:
    if ":" in host:
        return _literal(host.partition("%")[0])
    try:  # the time that IDNA takes grows faster than a name
        name = host if host.isascii() or len(host) > _LONGEST_NAME else host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise SourceNotFound("the source URL has no valid host")
    return name


def _literal(host: str) -> str:
    """An IPv6 address as a URL writes it; a mapped IPv4 address in dotted form, as it is connected to."""
    try:
        address = IPv6Address(host)
    except ValueError:
        raise SourceNotFound("the source URL has no valid host") from None
    return str(address.ipv4_mapped) if address.ipv4_mapped is not None else f"[{address.compressed}]"
