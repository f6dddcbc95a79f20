"""Settings of originals: where they may come from, and how large they may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from imgforge.config._headers import CustomHeaders, HeaderNames
from imgforge.config._types import Words

__all__ = ["SourcesSettings"]

_Limit = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class SourcesSettings(BaseModel):
    """What is fetched."""

    download_timeout: float = Field(
        10,
        gt=0,
        le=86400,
        allow_inf_nan=False,
        description="seconds for one original, from the look-up of its host to its last byte",
    )
    max_redirects: int = Field(10, ge=0, le=100, description="redirects that are followed")
    client_keep_alive_timeout: float = Field(
        90, ge=0, le=86400, allow_inf_nan=False, description="seconds that an idle connection to an origin is kept"
    )
    source_connections_per_host: int = Field(
        64, ge=0, le=1000000, description="requests that each process asks an origin at the same time; 0 is any number"
    )
    source_retries: int = Field(
        0, ge=0, le=10, description="times that a fetch is tried again, within its time, after a failure of the origin"
    )
    source_breaker_failures: int = Field(
        10, ge=0, le=1000000, description="failures in a row after which an origin is left alone; 0 is never"
    )
    source_breaker_seconds: float = Field(
        10, gt=0, le=86400, allow_inf_nan=False, description="seconds that it is left alone: 502 or 504 at once"
    )
    user_agent: str = Field(
        "imgforge/%current_version", pattern=r"^[\x20-\x7e]*$", description="the User-Agent that origins see"
    )
    custom_request_headers: CustomHeaders = Field(
        {},
        description="headers that origins see besides: Name=value\\;Name=value; another one that they redirect to not",
    )
    request_headers_passthrough: HeaderNames = Field(
        (), description="names of request headers that are passed on to origins; what is made of it is kept by value"
    )
    cookie_passthrough: bool = Field(
        False, description="pass cookies on to origins on the host that the client asks, by X-Forwarded-Host or Host"
    )
    cookie_base_url: str = Field(
        "",
        pattern=r"^(https?://[^/@\s]+(/\S*)?)?$",
        description="the URL whose cookies they are, instead of that host's",
    )
    cookie_passthrough_all: bool = Field(False, description="pass them on to every origin")
    ignore_ssl_verification: bool = Field(False, description="do not check the certificates of origins")
    ca_file: str = Field("", description="a PEM file of the authorities to trust instead of the system's")
    allow_loopback_source_addresses: bool = Field(False, description="origins may be on this machine")
    allow_link_local_source_addresses: bool = Field(
        False, description="origins may have link-local addresses, as cloud metadata services do"
    )
    allow_private_source_addresses: bool = Field(True, description="origins may have private addresses")
    allowed_sources: Words = Field(
        (), description="prefixes of the sources that may be fetched, * within a part; empty is all"
    )
    local_filesystem_root: str = Field("", description="the directory of local:// sources; empty serves none")
    source_url_query_separator: str = Field(
        "?", max_length=8, description="what follows it in local:// is no part of the name; empty: all is"
    )
    max_src_file_size: int = Field(104857600, ge=0, description="bytes of an original; 0 is no limit")
    source_memory_max_bytes: int = Field(
        268435456,
        ge=0,
        description="bytes of originals that each process holds while their images are made; "
        "who needs more waits, but for the one that has waited longest; 0 is no limit",
    )
    allowed_mime_types: Words = Field(
        (), description="types that originals may have, told by their content: image/jpeg,image/png; empty is all"
    )
    max_src_resolution: _Limit = Field(50, description="megapixels of an original, all frames counted; 0 is no limit")
    max_animation_frames: int = Field(
        1, ge=1, le=100000, description="frames of an animation that are processed; 1 makes stills"
    )
    max_animation_frame_resolution: _Limit = Field(0, description="megapixels of one frame, instead of counting all")
