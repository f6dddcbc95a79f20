"""The seams. `ISourceFactory` plugins are found through `twisted.plugin`; the built-in sources use the same door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IConsumer,
    IReactorCore,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IReactorUNIX,
)
from zope.interface import Attribute, Interface

from imgforge.model import CacheEntry, SourceHead, SourceImage

__all__ = [
    "ICacheTier",
    "IConfiguredSourceFactory",
    "IServerReactor",
    "ISource",
    "ISourceFactory",
    "Reserve",
    "unlimited_reserve",
]

# Asked for the bytes that a body takes altogether, before they are read; fires when there is room for them.
Reserve = Callable[[int], Deferred[None]]


def unlimited_reserve(_: int) -> Deferred[None]:
    """Room for everybody."""
    return succeed(None)


class IServerReactor(
    IReactorCore,
    IReactorTime,
    IReactorThreads,
    IReactorTCP,
    IReactorUNIX,
    IReactorFDSet,
    IReactorPluggableNameResolver,
):
    """A reactor that a server runs in; epoll's is one. What needs the time only asks for `IReactorTime`."""


class ISource(Interface):
    """Where originals come from; one per URL scheme. Cancelling a Deferred closes what it opened."""

    def fetch(
        url: str, limit: int | None, headers: Mapping[str, str], room: Reserve = unlimited_reserve
    ) -> Deferred[SourceImage]:
        """The whole original at *url*, at most *limit* bytes.

        *headers* are sent along where the scheme knows headers; with `if-none-match` or `if-modified-since` among them
        the answer may be that it is `not_modified`, without its bytes. *room* is asked before bytes are read, for as
        many as are known to come, and again as more do; the time that it takes is not the origin's. Fails with
        `SourceTooLarge` as soon as the limit is passed, `SourceNotFound`, `SourceRefused`, `OriginFailed` or
        `OriginTimeout`.
        """

    def stream(url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> Deferred[None]:
        """Send the original at *url* to the consumer that *started* returns once the head is known.

        A `range` among *headers* asks for a part, under `if-range`; one that holds no byte is a head with status 416,
        `if-none-match` and `if-modified-since` may lead to one with 304. Where *started* raises, nothing is sent, no
        more is fetched, and the Deferred fails with what was raised. Else it fires when all has been written (the
        consumer's producer is unregistered by then); it fails as `fetch` does, before or after *started* was called.
        Nothing bounds the size; the consumer's back-pressure bounds the memory.
        """


class ISourceFactory(Interface):
    """Makes sources for some URL schemes; `twisted.plugin` finds one that provides `IPlugin` as well."""

    schemes: tuple[str, ...] = Attribute("The URL schemes, in lower case and without ://, that the sources serve.")

    def make(reactor: object, settings: object) -> object | None:
        """An `ISource`, or None where *settings* (`imgforge.sources.SourceSettings`) do not enable it."""


class IConfiguredSourceFactory(ISourceFactory):
    """A source factory with settings of its own; `make` finds all of them, as texts by name, in `settings.plugin`.

    The setting x of the plugin zip is the variable IMGFORGE_PLUGIN_ZIP_X, or the key x in the TOML table [plugin.zip].
    """

    name: str = Attribute("The plugin's name, of lower-case letters and digits.")
    settings: Mapping[str, str] = Attribute(
        "The defaults of all settings that it has, by names of lower-case letters, digits and underscores; a setting "
        "that is given and not among them ends the start."
    )


class ICacheTier(Interface):
    """A store of cache entries, bounded in bytes and entries; it may forget, and it never raises.

    A fault of the medium is a miss on `get` and nothing on `put`, logged and counted by the tier.
    """

    name: str = Attribute("The tier's name in logs and metrics: memory, disk, ...")

    def get(key: bytes) -> Deferred[CacheEntry | None]:
        """The entry under *key* (32 bytes), verified, or None."""

    def size_of(key: bytes) -> Deferred[int]:
        """About how many bytes the body under *key* has, without reading it; 0 where there is none."""

    def put(key: bytes, entry: CacheEntry) -> Deferred[None]:
        """Store *entry*, replacing what is there."""

    def remove(key: bytes) -> Deferred[bool]:
        """Forget *key*; True if it was there."""

    def close() -> Awaitable[None]:
        """Finish what is being written."""
