"""Settings of originals: where they may come from, and how large they may be."""

from typing import Annotated, Literal

from imgforge.config.fields import Bounds, Section, setting
from imgforge.config.header_values import CustomHeaders, HeaderNames
from imgforge.config.value_types import Words

__all__ = ["SourcesSettings"]

_Limit = Annotated[float, Bounds(ge=0, le=1e9)]


class SourcesSettings(Section):
    """Originals: sources, addresses, limits."""

    download_timeout: float = setting(
        10,
        gt=0,
        le=86400,
        description="Maximum seconds to fetch one original, from the look-up of its host to its last byte; the client"
        " then gets 504.",
    )
    max_redirects: int = setting(
        10,
        ge=0,
        le=100,
        description="Maximum number of redirects of an origin that are followed; the client gets 502 for one "
        "more, and with 0 for any redirect.",
    )
    client_keep_alive_timeout: float = setting(
        90,
        ge=0,
        le=86400,
        description="Seconds for which an idle connection to an origin stays open; 0 closes it after each response.",
    )
    source_connections_per_host: int = setting(
        64,
        ge=0,
        le=1000000,
        description="Maximum number of concurrent requests of each process to an origin; others wait within "
        "download_timeout, and 0 is no limit.",
    )
    source_retries: int = setting(
        0,
        ge=0,
        le=10,
        description="Number of retries of a failed fetch, within download_timeout; 0 never retries. Where it is not "
        "set, fetches from object stores are retried twice.",
    )
    source_hedge: Literal["auto", "off"] = setting(
        "auto",
        description="With auto, a second request is sent where the first byte of an object store takes longer than "
        "nearly always, for at most 5 % of its requests; off never sends one.",
    )
    source_http2: Literal["auto", "off"] = setting(
        "auto", description="With auto, HTTP/2 is offered to origins with TLS; off is HTTP/1.1 only."
    )
    source_preconnect: int = setting(
        1,
        ge=0,
        le=1000,
        description="Number of connections that each process opens at the start to base_url and to each object "
        "store; 0 opens them when they are needed.",
    )
    source_breaker_failures: int = setting(
        10,
        ge=0,
        le=1000000,
        description="Number of failures in a row that open the circuit breaker of an origin for "
        "source_breaker_seconds: connections that fail, answers that do not come or break HTTP, and 502, 503 and 504. "
        "Any other answer, 500 and 429 too, begins the count anew; those of requests under way together count once. 0 "
        "switches circuit breakers off.",
    )
    source_breaker_seconds: float = setting(
        10,
        gt=0,
        le=86400,
        description="Seconds for which an open circuit breaker answers 502 or 504 at once instead of asking the "
        "origin.",
    )
    user_agent: str = setting(
        "imgforge/%current_version",
        pattern=r"^[\x20-\x7e]*$",
        description="The User-Agent header that origins get, of printable ASCII; %current_version stands for "
        "imgforge's version.",
    )
    custom_request_headers: CustomHeaders = setting(
        {},
        description="Headers to send to origins, as Name=value pairs with custom_headers_separator between them; "
        "they are not sent to another origin after a redirect.",
    )
    request_headers_passthrough: HeaderNames = setting(
        (),
        description="Names of the client's request headers to send to origins, separated by commas; their values are "
        "part of the cache key. Empty is none.",
    )
    cookie_passthrough: bool = setting(
        False,
        description="Send the client's cookies to origins on the host of the request (X-Forwarded-Host or Host).",
    )
    cookie_base_url: str = setting(
        "",
        pattern=r"^(https?://[^/@\s]+(/\S*)?)?$",
        description="URL of the origin to which the client's cookies are sent, instead of the host of the request; "
        "empty is that host.",
    )
    cookie_passthrough_all: bool = setting(
        False,
        description="Send the client's cookies to every origin, where cookie_passthrough is on; otherwise to "
        "the host of the request or of cookie_base_url only.",
    )
    ignore_ssl_verification: bool = setting(
        False,
        description="Accept any TLS certificate of origins, which lets anybody on the network path change originals.",
    )
    ca_file: str = setting(
        "",
        description="Path of a PEM file with the certificate authorities for origins; empty trusts those of the "
        "system.",
    )
    allow_loopback_source_addresses: bool = setting(
        False,
        description="Allow originals from loopback addresses, which are services of this machine; otherwise they are "
        "refused.",
    )
    allow_link_local_source_addresses: bool = setting(
        False,
        description="Allow originals from link-local addresses, such as those of cloud metadata services; otherwise "
        "they are refused.",
    )
    allow_private_source_addresses: bool = setting(
        True, description="Allow originals from private addresses, such as 10.0.0.0/8; otherwise they are refused."
    )
    allowed_sources: Words = setting(
        (),
        description="Prefixes of the source URLs that may be fetched, separated by commas, where * matches anything "
        "within a host or a path segment; empty allows all.",
    )
    allow_data_sources: bool = setting(
        False, description="Take originals out of the URL itself: plain/data:image/png;base64,..."
    )
    local_filesystem_root: str = setting(
        "", description="Path of the directory of local:// sources; empty serves none."
    )
    source_url_query_separator: str = setting(
        "?",
        max_length=64,
        description="The text of at most 64 characters that begins a query in sources other than http(s): it is not "
        "part of the name of the file or object, but may be its version. Empty allows no query.",
    )
    max_src_file_size: int = setting(
        104857600,
        ge=0,
        description="Maximum bytes of an original; the client gets 422 for a larger one, and 0 is no limit.",
    )
    source_memory_max_bytes: int = setting(
        268435456,
        ge=0,
        description="Maximum bytes of originals in the memory of each process; further requests wait within timeout, "
        "but one always proceeds, and 0 is no limit.",
    )
    allowed_mime_types: Words = setting(
        (),
        description="Media types that originals may have by their content, such as image/jpeg,image/png; the client "
        "gets 422 for others. Empty allows all.",
    )
    max_src_resolution: _Limit = setting(
        50,
        description="Maximum megapixels of an original, all frames together; the client gets 422 for a larger one, "
        "and 0 is no limit.",
    )
    max_animation_frames: int = setting(
        1,
        ge=1,
        le=100000,
        description="Number of frames of an animation that are processed; later frames are dropped, and 1 makes a "
        "still.",
    )
    max_animation_frame_resolution: _Limit = setting(
        0,
        description="Maximum megapixels of one frame of an animation; above 0 it replaces max_src_resolution for "
        "animations, and 0 counts all frames together.",
    )
