"""The settings that decided something for a URL: a table of when each does, and what it decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imgforge.config import Settings
from imgforge.model import ImageRequest, InfoRequest
from imgforge.service.explanation.values import VARIABLE, Explanation, SettingThatMattered
from imgforge.urls import SignedUrl

__all__ = ["Facts", "settings_that_mattered"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows of the table look at: *sent* is the source as the URL has it, before it is rewritten."""

    settings: Settings
    url: SignedUrl
    explanation: Explanation
    request: ImageRequest | InfoRequest | None = None
    accepted: tuple[str, ...] = ()
    varies: bool = False

    @property
    def source(self) -> str:
        """The URL of the original; empty where the path could not be read."""
        return self.request.source if self.request is not None else ""

    @property
    def cached(self) -> bool:
        """Whether the result has a key under which caches may keep it."""
        return self.explanation.cache.get("result") is not None


def _given(facts: Facts, name: str) -> bool:
    return bool(getattr(facts.settings, name)) and name in facts.settings.given


def _why(facts: Facts) -> str:
    return str(facts.explanation.format.get("why", ""))


def _offers(name: str, setting: str) -> Callable[[Facts], bool]:
    """Whether *setting* offers the format *name* to this client."""
    return lambda facts: getattr(facts.settings, setting) and name in facts.accepted


def _format_rows() -> Iterator[_Row]:
    for name in ("webp", "avif", "jxl"):
        auto, enforce = f"auto_{name}", f"enforce_{name}"
        yield auto, _offers(name, auto), "clients that accept the format get it where the URL names none"
        yield enforce, _offers(name, enforce), "clients that accept the format get it whatever the URL names"


_Row = tuple[str, Callable[[Facts], bool], str]

_ROWS: tuple[_Row, ...] = (
    ("key", lambda facts: facts.explanation.signature.get("key") is not None, "the signature is checked with it"),
    (
        "allow_unsigned",
        lambda facts: facts.settings.allow_unsigned and facts.explanation.signature.get("key") is None,
        "unsigned URLs are taken",
    ),
    (
        "signature_size",
        lambda facts: bool(facts.settings.key) and _given(facts, "signature_size"),
        "so many bytes of the digest are a signature",
    ),
    ("path_prefix", lambda facts: bool(facts.url.prefix), "it is removed from the path before anything is read"),
    ("arguments_separator", lambda facts: _given(facts, "arguments_separator"), "it separates arguments of options"),
    (
        "presets",
        lambda facts: bool(facts.explanation.presets) and facts.explanation.kind != "info",
        "it has the presets that apply",
    ),
    (
        "info_presets",
        lambda facts: bool(facts.explanation.presets) and facts.explanation.kind == "info",
        "it has the presets that apply",
    ),
    ("only_presets", lambda facts: facts.settings.only_presets, "the URL may name presets only"),
    (
        "allowed_processing_options",
        lambda facts: bool(facts.settings.allowed_processing_options),
        "other options are refused outside presets",
    ),
    (
        "base_url",
        lambda facts: bool(facts.settings.base_url) and facts.source.startswith(facts.settings.base_url),
        "source URLs that begin otherwise get it in front",
    ),
    (
        "url_replacements",
        lambda facts: bool(facts.settings.url_replacements),
        "source URLs that match are rewritten",
    ),
    (
        "source_url_encryption_key",
        lambda facts: "/enc/" in facts.url.path and bool(facts.settings.source_url_encryption_key),
        "it decrypts the source's URL",
    ),
    ("allowed_sources", lambda facts: bool(facts.settings.allowed_sources), "sources elsewhere are refused"),
    (
        "local_filesystem_root",
        lambda facts: facts.source.startswith("local://"),
        "the directory that local sources are read from; empty: none are",
    ),
    *_format_rows(),
    (
        "best_format_by_default",
        lambda facts: "IMGFORGE_BEST_FORMAT_BY_DEFAULT" in _why(facts),
        "the smallest file is sought where the URL names no format",
    ),
    (
        "default_format",
        lambda facts: "IMGFORGE_DEFAULT_FORMAT" in _why(facts),
        "the format where neither the URL nor the client decides",
    ),
    (
        "preferred_formats",
        lambda facts: "IMGFORGE_PREFERRED_FORMATS" in _why(facts) or facts.explanation.format.get("chosen") == "best",
        "the formats of results where neither the URL nor the client decides",
    ),
    (
        "skip_processing_formats",
        lambda facts: bool(facts.explanation.format.get("unprocessed")) and _given(facts, "skip_processing_formats"),
        "sources of these formats are served as they are",
    ),
    ("cache_type", lambda facts: facts.cached, "where this node keeps results; empty: nowhere"),
    ("cache_use", lambda facts: facts.cached and bool(facts.settings.cache_use), "the cache that nodes share"),
    ("cache_ttl", lambda facts: facts.cached, "seconds for which a cached result is fresh; 0: for ever"),
    (
        "cache_presets_only",
        lambda facts: facts.cached and facts.settings.cache_presets_only,
        "results of URLs without a preset are not cached",
    ),
    ("cache_key_headers", lambda facts: facts.cached and _given(facts, "cache_key_headers"), "part of the cache key"),
    ("cache_key_cookies", lambda facts: facts.cached and _given(facts, "cache_key_cookies"), "part of the cache key"),
    ("ttl", lambda facts: facts.request is not None, "seconds for which clients and CDNs may keep the response"),
)


def settings_that_mattered(facts: Facts) -> Iterator[SettingThatMattered]:
    """The settings of the rows that apply, and those that decide an option in effect, with secrets masked."""
    masked = facts.settings.masked()
    seen = set()
    for name, applies, why in _ROWS:
        if applies(facts):
            seen.add(name)
            yield SettingThatMattered(f"{VARIABLE}{name.upper()}", masked[name], why)
    for option in facts.explanation.options:
        name = option.setting.removeprefix(VARIABLE).lower()
        if name and name not in seen:
            seen.add(name)
            yield SettingThatMattered(option.setting, masked[name], f"it decides {option.name}")
