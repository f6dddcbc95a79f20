"""A base URL by which no source is found, for which the log warns at the start.

It does not end the start, as it does not end imgproxy's: URLs may begin with the prefix already, and a plugin may serve
any scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgforge.config.url_masking import mask_user_info

if TYPE_CHECKING:
    from imgforge.config.settings import Settings

__all__ = ["base_url_doubts"]

# The source may complete it: http: that of //host/a.jpg.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(?:/|$)", re.IGNORECASE)
_LONGEST_SHOWN = 80  # characters
_SWITCHES = {
    "local": "local_filesystem_root",
    "s3": "use_s3",
    "gs": "use_gcs",
    "abs": "use_abs",
    "swift": "use_swift",
}


def base_url_doubts(settings: Settings) -> Iterator[str]:
    """A line where *settings* have a base URL without a scheme, or with one that is switched off."""
    if not settings.base_url:
        return
    found = _SCHEME.match(settings.base_url)
    shown = f"IMGFORGE_BASE_URL={mask_user_info(settings.base_url)[:_LONGEST_SHOWN]}"
    if found is None:
        yield (f"{shown} begins with no scheme, such as https:// or s3://: source URLs that it is put before get 404")
        return
    switch = _SWITCHES.get(found[1].lower(), "")
    if switch and not getattr(settings, switch):
        yield f"{shown}: source URLs that it is put before get 404, as IMGFORGE_{switch.upper()} is not set"
