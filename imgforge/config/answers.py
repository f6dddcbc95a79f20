"""Settings of answers: headers, logs."""

from typing import Annotated, Any, Literal

from imgforge.config.fields import Checks, Reads, Section, setting
from imgforge.config.header_values import SEPARATOR, CustomHeaders, HeaderNames
from imgforge.config.value_types import Base64, Levels, Moment

__all__ = ["AnswersSettings"]

_HEADER = r"^[\x20-\x7e]*$"


def _log_format(value: Any) -> Any:
    """imgproxy's name for lines that people read is taken, too."""
    return "text" if value == "pretty" else value


def _image_status(status: int) -> int:
    """1xx is no end of a response, and the others have no body."""
    if 0 < status < 200 or status in {204, 205, 304}:
        raise ValueError("must be 0 or the status of a response with a body: from 200 to 599 without 204, 205 and 304")
    return status


class AnswersSettings(Section):
    """Responses and logs."""

    ttl: int = setting(
        31536000,
        ge=0,
        description="Seconds for which clients and CDNs may keep an image, as max-age of its Cache-Control header.",
    )
    cache_control_swr: int = setting(
        0,
        ge=0,
        description="Seconds for which clients and CDNs may show an expired image while they ask for a new one "
        "(stale-while-revalidate); 0 leaves it out.",
    )
    cache_control_passthrough: bool = setting(
        False,
        description="Send the origin's Cache-Control and Expires headers to clients, instead of a max-age of ttl.",
    )
    use_etag: bool = setting(True, description="Send an ETag header, and answer a matching If-None-Match with 304.")
    etag_buster: str = setting(
        "",
        pattern=r"^[\x21\x23-\x7e]*$",
        description="Prefix of every ETag, of ASCII without blanks and quotes; changing it makes the next "
        "revalidation of all cached copies fail.",
    )
    use_last_modified: bool = setting(
        True, description="Send the origin's Last-Modified header, and answer If-Modified-Since by it."
    )
    last_modified_buster: Moment = setting(
        "",
        description="The earliest time in Last-Modified, as 2026-01-31T23:59:59Z; changing it invalidates older "
        "cached copies of clients. Empty is none.",
    )
    set_canonical_header: bool = setting(
        False, description='Name the source\'s URL to search engines, as `Link: <source>; rel="canonical"`.'
    )
    return_attachment: bool = setting(
        False, description="Ask browsers to save images instead of showing them, by Content-Disposition: attachment."
    )
    cache_tags_format: Literal["all", "cloudflare", "cloudfront", "none"] = setting(
        "all",
        description="Headers that carry the tags of the option cache_tags: Cache-Tag (cloudflare), X-Amz-Meta-Cache-"
        "Tag (cloudfront), both (all) or none.",
    )
    fallback_image_data: Base64 = setting(
        b"",
        description="The image that is served when a source fails, in base64; it wins over fallback_image_path. "
        "Empty is none.",
    )
    fallback_image_path: str = setting(
        "", description="Path of the image file that is served when a source fails; empty is none."
    )
    fallback_image_url: str = setting(
        "", description="URL of the image that is served when a source fails; empty is none."
    )
    fallback_image_preprocess_url: bool = setting(
        False,
        description="Rewrite the URLs of the option fallback_image_url by url_replacements and base_url, as those of "
        "sources.",
    )
    fallback_image_http_code: Annotated[int, Checks(_image_status)] = setting(
        200,
        ge=0,
        le=599,
        description="Status number of a fallback image, from 200 to 599 without 204, 205 and 304, which have no body; "
        "0 is the status of the failure.",
    )
    fallback_image_ttl: int = setting(
        0, ge=0, description="Seconds for which clients and CDNs may keep a fallback image; 0 is ttl."
    )
    allow_origin: str = setting(
        "",
        pattern=_HEADER,
        description="The value of the Access-Control-Allow-Origin header, of printable ASCII; empty sends none.",
    )
    enable_debug_headers: bool = setting(False, description="Send headers with the sizes of original and result.")
    custom_response_headers: CustomHeaders = setting(
        {},
        description="Headers of all responses, errors included, as Name=value pairs with "
        "custom_headers_separator between them; those that imgforge sets for each response are "
        "refused at the start. Empty is none.",
    )
    response_headers_passthrough: HeaderNames = setting(
        (),
        description="Names of headers of originals to send with their results, separated by commas, Set-Cookie "
        "excepted; empty is none.",
    )
    custom_headers_separator: str = setting(
        SEPARATOR,
        min_length=1,
        max_length=8,
        description="The text between two headers in custom_request_headers and custom_response_headers, of 1 to 8 "
        "characters.",
    )
    server_name: str = setting(
        "imgforge", pattern=_HEADER, description="The value of the Server header, of printable ASCII; empty sends none."
    )
    landing_page: bool = setting(
        False,
        description="Serve an HTML page at `/` also where there are keys; otherwise a line of text.",
    )
    development_errors_mode: bool = setting(
        False,
        description="Show in the body of every error, beside its line, the cause (which may name hosts and "
        "addresses), the cure, the settings that decide it, where docs/errors.md explains it, and tracebacks of "
        "internal errors: as HTML for browsers, else as text. For development.",
    )
    log_level: Levels = setting(
        "info",
        description="Minimum level of log lines: debug, info, warn or error, also by namespace, such as "
        "warn,imgforge.sources=debug.",
    )
    log_format: Annotated[Literal["text", "json", "structured", "gcp"], Reads(_log_format)] = setting(
        "text",
        description="Format of log lines: text, json, structured (time=... level=... message=...) or gcp (JSON for "
        "Google Cloud).",
    )
    access_log: Literal["off", "common", "combined", "json"] = setting(
        "off", description="Format of the access log, one line for each response on standard output; off writes none."
    )
