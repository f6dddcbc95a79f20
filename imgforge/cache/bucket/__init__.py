"""A tier in a bucket of an object store, which all nodes of a fleet share."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.cache.bucket.factory import BucketTierFactory
    from imgforge.cache.bucket.settings import BucketSettings
    from imgforge.cache.bucket.tier import BucketTier

__all__ = ["BucketSettings", "BucketTier", "BucketTierFactory"]

__getattr__ = lazy_door(
    __name__,
    {
        ".factory": ("BucketTierFactory",),
        ".settings": ("BucketSettings",),
        ".tier": ("BucketTier",),
    },
)
