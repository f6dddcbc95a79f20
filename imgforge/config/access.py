"""Settings of access: signatures, tokens, presets, options."""

from typing import Literal

from imgforge.config.fields import Section, setting
from imgforge.config.value_types import HexKeys, NamedTexts, Networks, Pairs, Words

__all__ = ["AccessSettings"]


class AccessSettings(Section):
    """Access: signatures, tokens, presets, options."""

    key: HexKeys = setting(
        (),
        description="Hexadecimal keys that sign URLs, separated by commas; a signature by any of them is good. Empty "
        "checks no signatures.",
    )
    salt: HexKeys = setting(
        (), description="Hexadecimal salts of the signatures, separated by commas, one for each key."
    )
    signature_size: int = setting(
        32,
        ge=1,
        le=32,
        description="Number of bytes to which the HMAC-SHA256 of a signature is truncated; fewer than 8 can "
        "be guessed.",
    )
    trusted_signatures: Words = setting(
        (), description="Signatures that are accepted for any path, separated by commas; empty trusts none."
    )
    allow_unsigned: bool = setting(
        False, description="Accept URLs with the word `unsafe` as their signature, from any client."
    )
    secret: str = setting(
        "",
        description="The token that requests for images, /info and /metrics must carry as `Authorization: Bearer "
        "<secret>`; others get 403. Empty asks for none.",
    )
    allowed_clients: Networks = setting(
        (),
        description="Addresses and networks (CIDR) of the clients that are served, separated by commas; others get "
        "403, except for health checks. Empty serves all.",
    )
    trusted_proxies: Networks = setting(
        (),
        description="Addresses and networks (CIDR) of trusted proxies, or the word unix, separated by commas: their "
        "X-Forwarded-For and Forwarded headers name the client. Empty trusts none.",
    )
    source_url_encryption_key: HexKeys = setting(
        (),
        description="The hexadecimal key of encrypted sources (enc/), of 16, 24 or 32 bytes; empty refuses such "
        "sources.",
    )
    arguments_separator: str = setting(
        ":",
        min_length=1,
        max_length=8,
        pattern=r"^[^/]+$",
        description="The text between an option and its arguments in URLs and presets, of 1 to 8 characters without a"
        " slash.",
    )
    presets: NamedTexts = setting(
        {},
        description="Named lists of options, such as thumb=rs:fit:150:150/q:80,banner=w:1200; the one called default "
        "applies to every image.",
    )
    presets_separator: str = setting(
        ",",
        min_length=1,
        max_length=8,
        description="The text between two presets in the settings presets and info_presets, of 1 to 8 characters.",
    )
    presets_path: str = setting(
        "", description="Path of a file with one preset (name=options) a line; empty reads none."
    )
    info_presets: NamedTexts = setting(
        {},
        description="Named lists of options of /info, such as colours=avg:1/p:8; the one called default applies to "
        "every answer.",
    )
    info_presets_path: str = setting(
        "", description="Path of a file with one preset of /info (name=options) a line; empty reads none."
    )
    only_presets: bool = setting(False, description="Let URLs of images use presets only; any other option gets 400.")
    info_only_presets: bool | Literal[""] = setting(
        "", description="Let URLs of /info use presets only; empty is as only_presets."
    )
    allow_bypass_cache: bool = setting(
        False,
        description="Allow the option bypass_cache, by which a URL is rendered anew past all caches; otherwise it "
        "gets 403.",
    )
    allow_security_options: bool = setting(
        False,
        description="Allow options that change the limits of sources and results, such as max_src_resolution; "
        "otherwise they get 403.",
    )
    allowed_processing_options: Words = setting(
        (),
        description="Names of the options that URLs of images may use, separated by commas, aliases included; others "
        "get 403. Empty allows all.",
    )
    allowed_info_options: Words = setting(
        (),
        description="Names of the options that URLs of /info may use, separated by commas, aliases included; others "
        "get 403. Empty allows all.",
    )
    max_chained_pipelines: int = setting(
        10,
        ge=0,
        le=200,
        description="Maximum number of pipelines that a URL may chain by `-`, except for those of presets; a URL "
        "with more gets 400, and 0 is no limit.",
    )
    base_url: str = setting(
        "",
        description="Prefix of source URLs that do not begin with it, such as https://images.example/ or s3://bucket/; "
        "empty is none.",
    )
    url_replacements: Pairs = setting(
        (),
        description="Rewriting of source URLs, as pattern=replacement pairs separated by semicolons, with * and ${1},"
        " applied before base_url; empty rewrites none.",
    )
    base64_url_includes_filename: bool = setting(
        False, description="Ignore the last path segment of a base64 source, which is a file name for search engines."
    )
