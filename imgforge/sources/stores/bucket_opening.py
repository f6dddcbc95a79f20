"""Opens the bucket that imgforge itself reads and writes, in whatever store."""

from __future__ import annotations

import os
from collections.abc import Iterator

from imgforge.errors import ImgforgeError
from imgforge.interfaces import IServerReactor
from imgforge.object_stores import IObjectStore
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import AzureSettings, BucketUse, GcsSettings, S3Settings
from imgforge.sources.stores.azure import check_account
from imgforge.sources.stores.gcs_credentials import endpoint_of, needs_token, token_loader
from imgforge.sources.stores.objects_azure import azure_objects
from imgforge.sources.stores.objects_gcs import gcs_objects
from imgforge.sources.stores.objects_s3 import s3_objects
from imgforge.sources.stores.objects_swift import swift_objects
from imgforge.sources.stores.s3 import s3_mistakes
from imgforge.sources.stores.s3_addressing import S3Addressing
from imgforge.sources.stores.setting_mistakes import StoreMistake, endpoint_url
from imgforge.sources.stores.setting_names import of_the_cache

__all__ = ["bucket_mistakes", "open_bucket"]


def open_bucket(reactor: IServerReactor, settings: SourceSettings, use: BucketUse) -> IObjectStore:
    """The objects of the bucket that *use* names; `StoreMistake` where it cannot be used.

    Of *settings* those of connections count: proxies, certificate authorities, keep-alive.
    """
    for mistake in bucket_mistakes(use):
        raise StoreMistake(mistake)
    store = use.store
    if isinstance(store, S3Settings):
        return s3_objects(reactor, settings, store, use)
    if isinstance(store, GcsSettings):
        return gcs_objects(reactor, settings, store, use)
    if isinstance(store, AzureSettings):
        return azure_objects(reactor, settings, store, use)
    return swift_objects(reactor, settings, store, use)


def bucket_mistakes(use: BucketUse) -> Iterator[str]:
    """A line for each reason why the bucket cannot be used."""
    try:
        for line in _mistakes(use):
            yield of_the_cache(line)
    except StoreMistake as mistake:
        yield of_the_cache(str(mistake))
    except ImgforgeError:
        yield f"IMGFORGE_CACHE_BUCKET={use.bucket!r} is no name of a bucket"


def _mistakes(use: BucketUse) -> Iterator[str]:
    store = use.store
    if isinstance(store, S3Settings):
        lines = list(s3_mistakes(store))
        yield from lines
        if not lines:
            S3Addressing(store, os.environ).address(use.bucket)
    elif isinstance(store, GcsSettings):
        endpoint_of(store)
        if needs_token(store):
            token_loader(store.key, writes=True)
    elif isinstance(store, AzureSettings):
        check_account(store)
    else:
        endpoint_url("IMGFORGE_SWIFT_AUTH_URL", store.auth_url)
