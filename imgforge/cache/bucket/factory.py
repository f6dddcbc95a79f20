"""Makes the tier of `CACHE_USE=s3|gcs|abs|swift`, and its inventory, from the settings of a shared tier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from zope.interface import implementer

from imgforge.cache.bucket.inventory import BucketInventory
from imgforge.cache.bucket.settings import BucketSettings
from imgforge.cache.bucket.tier import BucketTier
from imgforge.interfaces import ICacheTierFactory, IServerReactor

if TYPE_CHECKING:
    from imgforge.cache.shared_settings import SharedTierSettings

__all__ = ["BucketTierFactory"]


@implementer(ICacheTierFactory)
class BucketTierFactory:
    """The tier in a bucket, which is called as its store is: one factory for all of them."""

    name = "bucket"

    def make(self, reactor: IServerReactor, settings: object) -> BucketTier:
        """See `ICacheTierFactory`; ValueError where the bucket cannot be used."""
        shared = cast("SharedTierSettings", settings)
        bucket = _own(shared)
        return BucketTier(reactor, shared.use, bucket.open(reactor), bucket.prefix, shared.keep)

    def mistakes(self, settings: object) -> Iterator[str]:
        """A line for each setting that is missing or cannot be used; the store itself is not asked."""
        shared = cast("SharedTierSettings", settings)
        if isinstance(shared.bucket, BucketSettings):
            yield from shared.bucket.mistakes()

    def inventory(self, settings: object) -> BucketInventory:
        """What the bucket of *settings* holds, for `imgforge cache`; ValueError as `make`."""
        return BucketInventory(_own(cast("SharedTierSettings", settings)))


def _own(settings: SharedTierSettings) -> BucketSettings:
    if not isinstance(settings.bucket, BucketSettings):
        raise ValueError(f"IMGFORGE_CACHE_USE={settings.use} needs IMGFORGE_CACHE_BUCKET, the name of a bucket")
    return settings.bucket
