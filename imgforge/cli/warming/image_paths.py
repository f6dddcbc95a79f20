"""Which logged requests are worth a replay, and what is asked for then."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from imgforge.cli.known_forms import KnownForms
from imgforge.cli.warming.log_formats import LoggedRequest
from imgforge.errors import BadOption, BadPath, ImgforgeError, OptionForbidden
from imgforge.service import url_settings
from imgforge.urls import Signer, UrlParser

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["ImagePaths", "is_success"]

_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/?#]*")
_SENDABLE = re.compile(rb"/[!-~]*")
# Paths of the server that are no images; below some of them are more.
_OTHER = (b"/info/", b"/srcset/", b"/cache/", b"/render/", b"/events/")
_ENCRYPTED = b"/enc/"


def is_success(request: LoggedRequest) -> bool:
    """Whether it is a GET that got an image, or part of one, or the news that the client's copy is good."""
    return request.method == "GET" and request.status in {200, 206, 304}


class ImagePaths:
    """Turns logged targets into the paths that are counted, and those into the paths that are asked for.

    The query is dropped, as the server ignores it, and so are the server's path prefix and that of the base URL,
    *base_path*, which is put in front again. With a *signer* a path is counted without its signature and signed anew.
    """

    def __init__(self, settings: Settings, base_path: str, signer: Signer | None) -> None:
        # Options are parsed, but no signature is checked: the machine that warms may not have the old key.
        rules = replace(url_settings(settings), keys=(), trusted_signatures=(), allow_unsigned=True, path_prefix="")
        self._parser = UrlParser(rules)
        self._forms = KnownForms(rules)  # of images
        prefixes = {base_path.rstrip("/").encode(), settings.path_prefix.rstrip("/").encode()} - {b""}
        self._prefixes = sorted((prefix + b"/" for prefix in prefixes), key=len, reverse=True)
        self._base = base_path.rstrip("/").encode()
        self._signer = signer

    def counted(self, target: bytes) -> bytes | None:
        """The path to count *target* as; None unless an image request that a cache keeps may have it."""
        match = _ABSOLUTE.match(target)
        path = (target[match.end() :] if match else target).partition(b"?")[0].partition(b"#")[0]
        path = next((path[len(prefix) - 1 :] for prefix in self._prefixes if path.startswith(prefix)), path)
        if not _SENDABLE.fullmatch(path) or path.startswith(_OTHER) or not self._is_image(path):
            return None
        if self._signer is None:
            return path
        _, slash, unsigned = path[1:].partition(b"/")
        return slash + unsigned

    def _is_image(self, path: bytes) -> bool:
        signature, slash, rest = path[1:].partition(b"/")
        unsigned = (slash + rest).decode("ascii")
        if b":" not in signature and unsigned in self._forms:
            return True
        try:
            delivery = self._parser.parse(path).delivery
        except (BadOption, OptionForbidden):  # a preset, say, that only the server knows
            return True
        except BadPath:
            return _ENCRYPTED in path  # which this machine may have no key for
        except ImgforgeError:
            return False
        expired = delivery.expires is not None and delivery.expires <= time.time()
        if expired or delivery.raw or delivery.bypass_cache:
            return False
        self._forms.add(unsigned)
        return True

    def requested(self, counted: bytes) -> bytes:
        """The path to ask the server for, signed anew if that is wanted."""
        if self._signer is not None:
            counted = b"/" + self._signer.signature(counted) + counted
        return self._base + counted
