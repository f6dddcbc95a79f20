"""Sources of originals: HTTP, local files and plugins, and the rules about what may be fetched."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door
from imgforge.sources.address_policy import AddressPolicy, address_class
from imgforge.sources.allowed_sources import AllowedSources
from imgforge.sources.http import (
    PROXY_VARIABLES,
    Http1Connection,
    HttpSource,
    NotSent,
    OriginRequest,
    Proxies,
    ServiceClient,
    TlsEndpoint,
    read_authorities,
)
from imgforge.sources.local import LocalSource
from imgforge.sources.plugins import SOURCE_PLUGINS
from imgforge.sources.registry import SWITCHES, SourceRegistry, scheme_of, unknown_scheme
from imgforge.sources.resolver import use_own_resolver
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import (
    AzureSettings,
    BucketRules,
    BucketUse,
    GcsSettings,
    S3Settings,
    SwiftSettings,
)

if TYPE_CHECKING:
    from imgforge.sources.stores import bucket_mistakes, open_bucket, store_mistakes

__all__ = [
    "PROXY_VARIABLES",
    "SOURCE_PLUGINS",
    "SWITCHES",
    "AddressPolicy",
    "AllowedSources",
    "AzureSettings",
    "BucketRules",
    "BucketUse",
    "GcsSettings",
    "Http1Connection",
    "HttpSource",
    "LocalSource",
    "NotSent",
    "OriginRequest",
    "Proxies",
    "S3Settings",
    "ServiceClient",
    "SourceRegistry",
    "SourceSettings",
    "SwiftSettings",
    "TlsEndpoint",
    "address_class",
    "bucket_mistakes",
    "open_bucket",
    "read_authorities",
    "scheme_of",
    "store_mistakes",
    "unknown_scheme",
    "use_own_resolver",
]

__getattr__ = lazy_door(__name__, {".stores": ("bucket_mistakes", "open_bucket", "store_mistakes")})
