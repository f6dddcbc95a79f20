"""The operator's rules for sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from imgforge.sources.address_policy import AddressPolicy
from imgforge.sources.store_settings import AzureSettings, GcsSettings, S3Settings, SwiftSettings

__all__ = ["SourceSettings"]


def _unknown(_: bytes) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What the sources need of the settings; names are those of the settings. Times are in seconds."""

    download_timeout: float = 10.0
    max_redirects: int = 10
    retries: int = 0  # further tries after a failed one, on the web
    store_retries: int = 2  # the same for object stores
    hedge: bool = False  # whether object stores get a second request where the first one is slow
    http2: bool = True  # whether HTTP/2 is offered over TLS
    preconnect: int = 0  # connections that are opened at the start, to each of `preconnect_urls` and each store
    preconnect_urls: tuple[str, ...] = ()
    data_urls: bool = False  # whether data: URLs are sources
    breaker_failures: int = 10  # in a row that open an origin's circuit; 0 is never
    breaker_seconds: float = 10.0  # for which it stays open
    user_agent: str = "imgforge"
    custom_headers: Mapping[str, str] = field(default_factory=dict)  # sent with each request; names in lower case
    response_headers: tuple[str, ...] = ()  # of the origin that go on to the client; names in lower case
    keep_alive_timeout: float = 90.0  # of an idle connection; 0 keeps none
    connections_per_host: int = 64  # at once to one origin; 0 is any number
    idle_connections_per_host: int = 16
    idle_connections: int = 100  # to all origins, of the web and of each store
    ignore_ssl_verification: bool = False
    ca_file: str = ""  # PEM; "" is the system's certificate authorities
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)  # `PROXY_VARIABLES` of the environment
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    allowed_sources: tuple[str, ...] = ()  # patterns of URLs, see `AllowedSources`; none allows all
    local_filesystem_root: str = ""  # "" serves no files
    s3: S3Settings | None = None
    gcs: GcsSettings | None = None
    azure: AzureSettings | None = None
    swift: SwiftSettings | None = None
    plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # settings of all plugins, by their names
    plugin: Mapping[str, str] = field(default_factory=dict)  # the plugin's own, for the factory that gets this value
    query_separator: str = "?"  # between path and query of URLs other than HTTP's; "" where there are no queries
    # The media type of a file by its first bytes, "" where it is no image: for files whose names do not tell.
    media_type_of: Callable[[bytes], str] = _unknown
