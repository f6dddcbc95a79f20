"""Content-Disposition (RFC 6266): under which name a browser saves an image."""

from __future__ import annotations

import posixpath
from urllib.parse import quote, unquote, urlsplit

from imgforge.model import ImageRequest, is_data_url

__all__ = ["content_disposition"]

# The extension of a saved file, where it is not the name of the format.
_EXTENSIONS = {"jpeg": "jpg"}


def content_disposition(request: ImageRequest, format_name: str, attachment: bool) -> bytes:
    """`inline` or `attachment`, with the URL's own file name or the source's, and the extension of *format_name*.

    An empty *format_name* is for the source itself, which keeps its extension. The URL decides before *attachment*.
    """
    delivery = request.delivery
    if delivery.return_attachment is not None:
        attachment = delivery.return_attachment
    stem, extension = posixpath.splitext(_basename(request.source))
    if format_name:
        extension = f".{_EXTENSIONS.get(format_name, format_name)}"
    name = (delivery.filename or stem) + extension
    kind = b"attachment" if attachment else b"inline"
    if name.isascii() and name.isprintable():
        return kind + b'; filename="' + name.replace("\\", "%5C").replace('"', "%22").encode("ascii") + b'"'
    encoded = quote(name, safe="").encode("ascii")
    return kind + b'; filename="' + encoded + b"\"; filename*=UTF-8''" + encoded


def _basename(source: str) -> str:
    if is_data_url(source):
        return "image"
    if source[:6].lower() == "local:":  # a file name, not a URL: its percent signs stand for themselves
        return posixpath.basename(source.partition("?")[0]) or "image"
    try:
        path = urlsplit(source).path
    except ValueError:  # a bracket in what stands for the host
        path = source.partition("?")[0].partition("://")[2].partition("/")[2]
    return posixpath.basename(unquote(path)) or "image"
