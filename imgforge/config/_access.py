"""Settings of who may ask for what: signatures, tokens, presets, options."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from imgforge.config._types import HexKeys, NamedTexts, Networks, Pairs, Words

__all__ = ["AccessSettings"]


class AccessSettings(BaseModel):
    """What URLs must prove and may say."""

    key: HexKeys = Field(
        (), description="hexadecimal keys that sign URLs, several by commas: any of them may have signed"
    )
    salt: HexKeys = Field((), description="hexadecimal salts, one for each key")
    signature_size: int = Field(32, ge=1, le=32, description="bytes of a signature before base64")
    trusted_signatures: Words = Field((), description="signatures that are taken without a check")
    allow_unsigned: bool = Field(False, description="take URLs whose signature is `unsafe`")
    secret: str = Field("", description="requests must carry `Authorization: Bearer <secret>`")
    allowed_clients: Networks = Field(
        (), description="networks (CIDR) of clients; others get 403, but for health checks; empty is all"
    )
    trusted_proxies: Networks = Field(
        (), description="networks (CIDR, or unix) of the proxies that are believed in X-Forwarded-For and Forwarded"
    )
    source_url_encryption_key: HexKeys = Field(
        (), description="the hexadecimal key of encrypted sources, of 16, 24 or 32 bytes"
    )
    arguments_separator: str = Field(
        ":", min_length=1, max_length=8, pattern=r"^[^/]+$", description="stands between the arguments of options"
    )
    presets: NamedTexts = Field({}, description="named lists of options: thumb=rs:fit:150:150/q:80,banner=w:1200")
    presets_separator: str = Field(",", min_length=1, max_length=8, description="stands between presets")
    presets_path: str = Field("", description="a file with one preset a line")
    info_presets: NamedTexts = Field(
        {}, description="named lists of options of `/info`: colours=avg:1/p:8,default=exif:0"
    )
    info_presets_path: str = Field("", description="a file with one preset of `/info` a line")
    only_presets: bool = Field(False, description="URLs may use presets only")
    info_only_presets: bool | Literal[""] = Field(
        "", description="URLs of `/info` may use presets only; as `only_presets`, where this is empty"
    )
    allow_bypass_cache: bool = Field(False, description="URLs may pass by the caches, at any price in work")
    allow_security_options: bool = Field(False, description="URLs may change the limits of sources and results")
    allowed_processing_options: Words = Field((), description="the options that URLs may use; empty is all")
    allowed_info_options: Words = Field((), description="the options that URLs of `/info` may use; empty is all")
    max_chained_pipelines: int = Field(
        10, ge=0, le=200, description="pipelines that a URL may chain, those of its presets aside; 0 is no limit"
    )
    base_url: str = Field("", description="stands in front of every source that does not begin with it")
    url_replacements: Pairs = Field((), description="rewriting of sources: pattern=replacement;... with * and ${1}")
    base64_url_includes_filename: bool = Field(
        False, description="the last part of a base64 source is a name to throw away"
    )
