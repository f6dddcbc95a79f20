"""libvips for a server: its setup in a process."""

from __future__ import annotations

import pyvips

from imgforge.processing.pyvips_compat import log_warnings_only

__all__ = ["configure"]

# libvips calls the loader of SVG untrusted; here it gets sanitised documents only.
_ALLOWED_LOADER = "VipsForeignLoadSvg"


def configure() -> None:
    """Sets libvips up for this process: one thread an image, no operation cache, no untrusted loaders.

    Many images are in work at once, so that threads within one would only take turns. No two requests share
    operations. The loaders that libvips' authors do not trust with hostile bytes are blocked, but for SVG's.
    """
    log_warnings_only()
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)
    if pyvips.at_least_libvips(8, 13):
        pyvips.block_untrusted_set(True)
        pyvips.operation_block_set(_ALLOWED_LOADER, False)
