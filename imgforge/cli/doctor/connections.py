"""Checks of what the settings have the server reach: origins, stores, the shared cache, the queue."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imgforge.cli.doctor.finding import Finding, fail, ok, warn
from imgforge.model import seconds_of_http_date

if TYPE_CHECKING:
    from imgforge.config import Settings

__all__ = ["check_origins", "check_queue", "check_shared_cache", "check_stores"]

_TIMEOUT = 5.0  # seconds for an origin to answer
_MOST_ORIGINS = 20
_SKEW = 5.0  # seconds that clocks may differ without a word
_LARGE_SKEW = 300.0  # at which stores begin to refuse signatures, and URLs expire at the wrong time
_TLS_CURE = "see the certificate with openssl s_client; IMGFORGE_CA_FILE adds an authority"
_REACH_CURE = "see DNS, firewalls, proxies (HTTP_PROXY) and IMGFORGE_ALLOW_*_SOURCE_ADDRESSES"


def check_stores(settings: Settings) -> Iterator[Finding]:
    """Whether the object stores that are switched on can be used, by the checks of the server's start."""
    from imgforge.service import source_settings
    from imgforge.sources import store_mistakes

    sources = source_settings(settings)
    names = [name for name in ("s3", "gcs", "azure", "swift") if getattr(sources, name) is not None]
    if names and not any(store_mistakes(sources)):  # mistakes are among those of the settings
        yield ok("stores", f"{', '.join(names)} can be used", "--origin s3://BUCKET/KEY tries an object")


def check_origins(settings: Settings, urls: Sequence[str]) -> Iterator[Finding]:
    """Whether originals can be fetched: *urls*, and what the settings name without a wildcard."""
    named = [url for url in (settings.watermark_url, settings.fallback_image_url) if url]
    prefixes = [url for url in (settings.base_url, *settings.allowed_sources) if _is_reachable_prefix(url)]
    wanted = dict.fromkeys((*urls, *named), True) | {url: False for url in prefixes if url not in {*urls, *named}}
    for url, is_image in list(wanted.items())[:_MOST_ORIGINS]:
        yield from _origin(settings, url, is_image)


def _is_reachable_prefix(url: str) -> bool:
    return url.startswith(("http://", "https://")) and "*" not in url


def _origin(settings: Settings, url: str, is_image: bool) -> Iterator[Finding]:
    """What fetching *url* has to say; a prefix that is no image may have any status."""
    from imgforge.config import mask_user_info
    from imgforge.errors import OriginTimeout, SourceNotFound, SourceRefused, SourceTooLarge, UnknownScheme

    shown = mask_user_info(url)
    parts = urlsplit(shown)
    name = f"origin {parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme else f"origin {shown!r}"
    began = time.time()
    outcome = _fetched(settings, url)
    seconds = time.time() - began
    if isinstance(outcome, (UnknownScheme, SourceRefused)):
        yield fail(name, outcome.logged, "the setting in the message, or IMGFORGE_ALLOWED_SOURCES, decides it")
    elif isinstance(outcome, SourceTooLarge):
        yield (fail if is_image else ok)(name, outcome.logged, "IMGFORGE_MAX_SRC_FILE_SIZE is the limit")
    elif isinstance(outcome, OriginTimeout):
        yield fail(name, f"{outcome.logged} (tried for {_TIMEOUT:g} s)", _REACH_CURE)
    elif isinstance(outcome, SourceNotFound) or "the origin answered" in str(outcome):
        if is_image:
            yield fail(name, str(getattr(outcome, "logged", outcome)), "see whether the URL is that of an image")
        else:
            yield ok(name, "answers")
    elif isinstance(outcome, Exception):
        text = str(getattr(outcome, "logged", outcome))
        tls = "certificate" in text.lower() or "ssl" in text.lower()
        yield fail(name, text, _TLS_CURE if tls else _REACH_CURE)
    else:
        yield ok(name, f"{len(outcome.body)} bytes in {seconds:.2f} s")
        yield from _clock(name, dict(outcome.headers).get("date", ""), began, time.time())


def _clock(name: str, date: str, sent: float, received: float) -> Iterator[Finding]:
    """How far this machine's clock is from the origin's, by the *date* of its answer."""
    theirs = seconds_of_http_date(date)
    if theirs is None:
        return
    # The date is that of a moment between the two times, without its fraction of a second.
    ahead = max(sent - theirs - 1, theirs - received, 0.0)
    cure = "synchronise the clock (timedatectl set-ntp true): exp: and signatures of stores go by it"
    if ahead > _LARGE_SKEW:
        yield fail("clock", f"differs by {ahead:.0f} s from that of {name}", cure)
    elif ahead > _SKEW:
        yield warn("clock", f"differs by {ahead:.0f} s from that of {name}", cure)
    else:
        yield ok("clock", f"agrees with that of {name}")


def _fetched(settings: Settings, url: str) -> Any:
    """The original at *url*, fetched as the server would, once and within seconds; or what it failed with."""
    from imgforge.concurrency import run_in_own_reactor
    from imgforge.service import source_settings
    from imgforge.sources import SourceRegistry

    once = replace(
        source_settings(settings),
        retries=0,
        store_retries=0,
        hedge=False,
        preconnect=0,
        response_headers=("date",),
    )

    async def fetch(reactor: Any) -> Any:
        sources = SourceRegistry(reactor, once)
        try:
            return await sources.fetch(url, settings.max_src_file_size or None, {}).addTimeout(_TIMEOUT, reactor)
        finally:
            await sources.close()

    try:
        return run_in_own_reactor(fetch)
    except Exception as error:
        return error


def check_shared_cache(settings: Settings) -> Iterator[Finding]:
    """Whether the cache that a fleet shares answers."""
    from imgforge.cache import shared_inventory
    from imgforge.service import shared_tier_settings

    if not settings.cache_use:
        return
    name = f"shared cache {settings.cache_use}"
    cure = "see its address, credentials and rights: images are made without it meanwhile"
    try:
        with closing(shared_inventory(shared_tier_settings(settings))) as inventory:
            found = next(iter(inventory.walk()), None)
            yield ok(name, f"{inventory.place} answers{'' if found else ', and is empty'}")
    except ValueError as error:
        yield warn(name, str(error), "it cannot be tried from here")
    except OSError as error:
        yield fail(name, os.strerror(error.errno) if error.errno else str(error), cure)


def check_queue(settings: Settings) -> Iterator[Finding]:
    """Whether the queue of images to make beforehand answers."""
    from imgforge.errors import QueueFailed
    from imgforge.service import make_queue

    if not settings.has_queue:
        return
    if settings.queue_path and not os.path.exists(settings.queue_path):
        yield ok("queue", f"{settings.queue_path} does not exist: the server makes it")
        return
    try:
        with closing(make_queue(settings)) as queue:
            status = queue.status(0)
    except ImportError as error:
        yield fail("queue", str(error), "install it")
    except QueueFailed as error:
        yield fail("queue", error.logged, "see IMGFORGE_QUEUE_URL or IMGFORGE_QUEUE_PATH: nothing is made beforehand")
    else:
        yield ok("queue", f"answers: {status.pending} pending, {status.failed} failed")
