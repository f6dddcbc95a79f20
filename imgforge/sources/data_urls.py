"""`data:image/png;base64,...`: originals that are in the URL itself (RFC 2397).

An image URL has at most 16 KiB, so that such an original is an icon, a mask or a watermark.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.protocols.basic import FileSender
from zope.interface import implementer

from imgforge.errors import SourceNotFound, SourceTooLarge
from imgforge.interfaces import ISource, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage, head_of_part

__all__ = ["DataSource"]

_LONGEST = 64 * 1024  # characters of a URL; watermarks' and fallback images' may come from elsewhere than an image URL
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")
_SPACE = re.compile(rb"[\t\n\f\r ]+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@implementer(ISource)
class DataSource:
    """Decodes data URLs. *media_type_of* gives the media type of an image by its first bytes, "" for anything else."""

    def __init__(self, media_type_of: Callable[[bytes], str]) -> None:
        self._media_type_of = media_type_of

    def fetch(
        self,
        url: str,
        limit: int | None,
        headers: Mapping[str, str],  # noqa: ARG002
        reserve: Reserve = unlimited_reserve,
    ) -> Deferred[SourceImage]:
        """See `ISource`; a data URL has no validators, so that the headers do not matter."""
        return ensureDeferred(self._fetch(url, limit, reserve))

    async def _fetch(self, url: str, limit: int | None, reserve: Reserve) -> SourceImage:
        media_type, body = _decoded(url)
        if limit is not None and len(body) > limit:
            raise SourceTooLarge(f"the source has {len(body)} bytes, more than {limit}")
        await reserve(len(body))
        return SourceImage(body, media_type)

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; the media type is that of an image, whatever the URL says."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        media_type, body = _decoded(url)
        if not media_type.startswith("image/"):  # a page would be one of this server's
            media_type = self._media_type_of(body) or "application/octet-stream"
        own = {"content-type": media_type, "accept-ranges": "bytes"}
        head, part = head_of_part(headers.get("range", ""), len(body), own)
        consumer = started(head)
        if head.status != 416:
            await FileSender().beginFileTransfer(BytesIO(body[part]), consumer)

    def close(self) -> Deferred[None]:
        """See `ISource`; it keeps nothing open."""
        return succeed(None)


def _decoded(url: str) -> tuple[str, bytes]:
    """The media type ("" where the URL names none) and the bytes of a data URL; `SourceNotFound` for a malformed one.

    Base64 may be of the URL-safe kind and lack its padding. A `#` is data: image URLs have no fragments.
    """
    if len(url) > _LONGEST:
        raise SourceTooLarge(f"the data: URL is longer than {_LONGEST} characters")
    description, comma, text = url.partition(":")[2].partition(",")
    if not comma:
        raise SourceNotFound("the data: URL has no comma before its data")
    media_type, *parameters = (part.strip(" ").lower() for part in description.split(";"))
    if media_type and not _MEDIA_TYPE.fullmatch(media_type):
        raise SourceNotFound("the data: URL has no valid media type")
    try:
        body = unquote_to_bytes(text)
    except UnicodeEncodeError:
        raise SourceNotFound("the data: URL is no valid text") from None
    if parameters[-1:] != ["base64"]:
        return media_type, body
    encoded = _SPACE.sub(b"", body).rstrip(b"=").translate(_URL_SAFE)
    try:
        return media_type, base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SourceNotFound("the data: URL is not base64, though it says so") from None
