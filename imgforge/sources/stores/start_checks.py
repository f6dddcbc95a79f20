"""What is wrong with the settings of stores, before the server starts."""

from __future__ import annotations

from collections.abc import Iterator

from imgforge.sources.settings import SourceSettings
from imgforge.sources.stores.azure import check_azure
from imgforge.sources.stores.gcs import check_gcs
from imgforge.sources.stores.s3 import s3_mistakes
from imgforge.sources.stores.setting_mistakes import StoreMistake
from imgforge.sources.stores.swift import check_swift

__all__ = ["store_mistakes"]

_CHECKS = (check_gcs, check_azure, check_swift)


def store_mistakes(settings: SourceSettings) -> Iterator[str]:
    """A line for each store that *settings* switch on, but that cannot be used."""
    if settings.s3 is not None:
        yield from s3_mistakes(settings.s3)
    for check in _CHECKS:
        try:
            check(settings)
        except StoreMistake as mistake:
            yield str(mistake)
