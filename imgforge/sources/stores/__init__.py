"""Object stores: each makes and signs requests, for originals and the cache; `imgforge.sources.http` sends them.

A server without stores imports none of it.
"""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.sources.stores.azure import AzureFactory
    from imgforge.sources.stores.bucket_opening import bucket_mistakes, open_bucket
    from imgforge.sources.stores.gcs import GcsFactory
    from imgforge.sources.stores.s3 import S3Factory
    from imgforge.sources.stores.start_checks import store_mistakes
    from imgforge.sources.stores.swift import SwiftFactory

__all__ = [
    "AzureFactory",
    "GcsFactory",
    "S3Factory",
    "SwiftFactory",
    "bucket_mistakes",
    "open_bucket",
    "store_mistakes",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".azure": ("AzureFactory",),
        ".bucket_opening": ("bucket_mistakes", "open_bucket"),
        ".gcs": ("GcsFactory",),
        ".s3": ("S3Factory",),
        ".start_checks": ("store_mistakes",),
        ".swift": ("SwiftFactory",),
    },
)
