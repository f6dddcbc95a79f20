"""Settings of answers: headers, logs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from imgforge.config._headers import SEPARATOR, CustomHeaders, HeaderNames
from imgforge.config._types import Base64, Levels, Moment

__all__ = ["AnswersSettings"]

_HEADER = r"^[\x20-\x7e]*$"


def _log_format(value: Any) -> Any:
    """imgproxy's name for lines that people read is taken, too."""
    return "text" if value == "pretty" else value


class AnswersSettings(BaseModel):
    """What clients and operators get to see."""

    ttl: int = Field(31536000, ge=0, description="seconds that clients and CDNs may keep an image")
    cache_control_swr: int = Field(
        0, ge=0, description="seconds that they may go on showing it while they ask for a new one; 0 says nothing of it"
    )
    cache_control_passthrough: bool = Field(False, description="hand on the origin's Cache-Control and Expires instead")
    use_etag: bool = Field(True, description="send ETag and answer If-None-Match")
    etag_buster: str = Field(
        "", pattern=r"^[\x21\x23-\x7e]*$", description="part of every ETag: change it to make all copies stale"
    )
    use_last_modified: bool = Field(True, description="send the origin's Last-Modified and answer If-Modified-Since")
    last_modified_buster: Moment = Field(
        "", description="a time as in RFC 3339: no Last-Modified is older; change it to make older copies stale"
    )
    set_canonical_header: bool = Field(False, description='send Link: <source>; rel="canonical"')
    return_attachment: bool = Field(False, description="ask browsers to save images")
    cache_tags_format: Literal["all", "cloudflare", "cloudfront", "none"] = Field(
        "all", description="which headers carry the tags of cache_tags:"
    )
    fallback_image_data: Base64 = Field(b"", description="an image for sources that cannot be had, as base64")
    fallback_image_path: str = Field("", description="a file with it")
    fallback_image_url: str = Field("", description="where to fetch it")
    fallback_image_preprocess_url: bool = Field(
        False, description="rewrite the URLs of `fallback_image_url:` as sources are, by url_replacements and base_url"
    )
    fallback_image_http_code: int = Field(
        200, ge=0, le=599, description="the status of such answers; 0 is the status of the failure"
    )
    fallback_image_ttl: int = Field(0, ge=0, description="seconds that they may be kept; 0 is the ttl of all images")
    allow_origin: str = Field("", pattern=_HEADER, description="Access-Control-Allow-Origin; empty sends none")
    enable_debug_headers: bool = Field(False, description="send the sizes of original and result")
    custom_response_headers: CustomHeaders = Field(
        {}, description="headers of all answers besides what imgforge says: Name=value\\;Name=value"
    )
    response_headers_passthrough: HeaderNames = Field(
        (), description="names of headers that are handed on with what is made of the original; not set-cookie"
    )
    custom_headers_separator: str = Field(
        SEPARATOR, min_length=1, max_length=8, description="stands between custom headers"
    )
    server_name: str = Field("imgforge", pattern=_HEADER, description="the Server header; empty sends none")
    log_level: Levels = Field(
        "info", description="debug, info, warn or error, also by namespace: warn,imgforge.sources=debug,twisted=info"
    )
    log_format: Annotated[Literal["text", "json", "structured", "gcp"], BeforeValidator(_log_format)] = Field(
        "text", description="of log lines: text, json, structured (time=... level=... message=...), gcp (Google's json)"
    )
    access_log: Literal["off", "common", "combined", "json"] = Field(
        "off", description="a line for every answer, on standard output"
    )
