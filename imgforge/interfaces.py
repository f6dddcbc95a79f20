"""The interfaces that others may implement: sources, their factories and cache tiers.

`ISourceFactory` plugins are found through `twisted.plugin`; the built-in sources have factories of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IConsumer,
    IReactorCore,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorProcess,
    IReactorSocket,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IReactorUNIX,
)
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from imgforge.model import CacheEntry, Purge, SourceHead, SourceImage

__all__ = [
    "ICacheTier",
    "ICacheTierFactory",
    "IConfiguredCacheTierFactory",
    "IConfiguredFactory",
    "IConfiguredSourceFactory",
    "ILease",
    "IMemoryTier",
    "IServerReactor",
    "ISource",
    "ISourceFactory",
    "LearnPurges",
    "LeaseAttempt",
    "Reserve",
    "TierUsage",
    "VisitMark",
    "unlimited_reserve",
]

# Reserves memory for a body: called with its bytes altogether, before they are read; fires once they are reserved.
Reserve = Callable[[int], Deferred[None]]


def unlimited_reserve(_size: int) -> Deferred[None]:
    """Grant any number of bytes at once."""
    return succeed(None)


class IServerReactor(
    IReactorCore,
    IReactorTime,
    IReactorThreads,
    IReactorTCP,
    IReactorUNIX,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorSocket,
    IReactorProcess,
):
    """A reactor that a server runs in, such as epoll's. Parts that need the time only ask for `IReactorTime`."""


class ISource(Interface):
    """Serves the originals of one or more URL schemes. Cancelling a Deferred closes the connections it opened."""

    def fetch(
        url: str, limit: int | None, headers: Mapping[str, str], reserve: Reserve = unlimited_reserve
    ) -> Deferred[SourceImage]:
        """Fetch the whole original at *url*, at most *limit* bytes; None is no limit.

        The arguments are passed by position. *headers* (names in lower case) are sent along where the scheme knows
        headers; with `if-none-match` or `if-modified-since` among them the result may be `not_modified`, without bytes.
        Only `HttpSource` is asked for a `range`, from the first byte on: it then may give a part, with a `whole_size`.
        *reserve* is called before bytes are read, with as many as are known to come, and again when more come; the
        wait for it does not count as the origin's time. Fails with `SourceTooLarge` as soon as the limit is passed,
        `SourceNotFound`, `SourceRefused`, `OriginFailed` or `OriginTimeout`.
        """

    def stream(url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> Deferred[None]:
        """Send the original at *url* to the consumer that *started* returns once the head is known.

        A `range` among *headers* asks for a part, under `if-range`; a range outside the original leads to a head with
        status 416, `if-none-match` and `if-modified-since` may lead to one with 304. Where *started* raises, nothing is
        sent, no more is fetched, and the Deferred fails with that exception. Otherwise it fires when all has been
        written (the consumer's producer is unregistered by then); it fails as `fetch` does, before or after the call
        of *started*. Nothing bounds the size; the consumer's back-pressure bounds the memory.
        """

    def close() -> Deferred[None]:
        """Let go of connections, files and threads; fires when they are gone. Nothing is fetched after it.

        Called once, when the server stops. A plugin that was written before `close` existed may lack it: the server
        takes its source as one with nothing to close.
        """


class ISourceFactory(Interface):
    """Makes the source for some URL schemes; `twisted.plugin` finds a factory that provides `IPlugin` as well."""

    schemes: tuple[str, ...] = Attribute("The URL schemes, in lower case and without ://, that the source serves.")

    def make(reactor: IServerReactor, settings: object) -> object | None:
        """Make an `ISource`, or return None where *settings* (`imgforge.sources.SourceSettings`) do not enable it.

        Called once in each process.
        """


class IConfiguredFactory(Interface):
    """A plugin's factory with settings of its own; `make` finds all of them, as strings by name, in `settings.plugin`.

    The setting x of the plugin zip is the variable IMGFORGE_PLUGIN_ZIP_X, or the key x in the TOML table [plugin.zip].
    """

    name: str = Attribute("The plugin's name, of lower-case letters and digits.")
    settings: Mapping[str, str] = Attribute(
        "The defaults of all its settings, by names of lower-case letters, digits and underscores. The server does not "
        "start with a setting that is not among them."
    )


class IConfiguredSourceFactory(ISourceFactory, IConfiguredFactory):
    """A source factory with settings of its own."""


class TierUsage(NamedTuple):
    """What a tier holds: bytes, and the number of entries; the bytes that it may hold, 0 without a limit."""

    bytes: int
    entries: int
    limit: int = 0


class LearnPurges(Protocol):
    """Learns of *purges* that others of a tier's users have recorded; *replaced*: these are all that there are."""

    def __call__(self, purges: Sequence[Purge], *, replaced: bool = False) -> None: ...


class LeaseAttempt(NamedTuple):
    """What an attempt to take a lease found.

    `taken`: this process has the lease, and makes the entry. `present`: there may be an entry by now. `outcome`: how
    the work of the process that had the lease ended without an entry, as it told `release`; None for nothing new.
    """

    taken: bool
    present: bool
    outcome: bytes | None


class ILease(Interface):
    """The right to make one entry, among all who use a tier. It is lost by itself when its holder dies."""

    def attempt() -> Deferred[LeaseAttempt]:
        """Try to take the lease, without waiting for it; it fails where the medium refuses."""

    def release(outcome: bytes | None, written: Deferred[Any]) -> None:
        """Give the lease up, or take it no more; called once, in any state, and never raises.

        The others see it released after *written*, the write of the entry, has ended. *outcome* is told to those who
        wait for the entry, None where there is one.
        """


class ICacheTier(Interface):
    """A store of cache entries; it may drop any of them.

    Keys are 32 bytes. What fails is a miss, or an entry that is not stored: the cache logs and counts it, and leaves a
    tier alone for a while that goes on failing. `CorruptEntry` is the failure of a damaged entry, which the tier has
    removed or replaces.
    """

    name: str = Attribute("The tier's name in logs and metrics: memory, disk, redis, ...")

    def start(learn: LearnPurges) -> Deferred[None]:
        """Begin to work. *learn* is called with the purges that other users of the tier have recorded, now and later.

        Fires when *learn* knows all that were recorded before, or the medium has failed to give them; the cache waits a
        moment for it with the first look-up.
        """

    def close() -> Deferred[None]:
        """Finish what is being written, within seconds, and let go of connections, files and threads."""

    def get(key: bytes) -> Deferred[CacheEntry | None]:
        """The entry under *key*, checked, or None."""

    def size_of(key: bytes) -> Deferred[int]:
        """About how many bytes the body under *key* has, without reading it; 0 where there is no entry."""

    def put(key: bytes, entry: CacheEntry) -> Deferred[None]:
        """Store *entry*, in place of the one that is there; fires when it is stored, or is too large for the tier."""

    def remove(key: bytes) -> Deferred[bool]:
        """Remove the entry under *key*; True if there was one."""

    def purge(purge: Purge) -> Deferred[int]:
        """Record *purge* where all users of the tier learn of it, and remove the entries that it covers.

        Gives how many were removed, as far as it is known within seconds: the cache serves none of the others, as long
        as it knows the purge. Fails with `PurgeFailed` where the purge cannot be recorded.
        """

    def purged_before() -> float:
        """The time (seconds since the epoch) before which purges may be forgotten: the tier has no entries left that
        they cover."""

    def lease(key: bytes) -> ILease | None:
        """The lease of *key*; None where the tier has none, so that each of its users makes entries of its own."""

    def usage() -> TierUsage | None:
        """What the tier holds, as far as this process knows; None while it does not. Counts nothing: it is cheap."""


class ICacheTierFactory(Interface):
    """Makes a tier behind memory and disk; `twisted.plugin` finds a factory that provides `IPlugin` as well."""

    name: str = Attribute("The value of IMGFORGE_CACHE_USE that asks for the tier, of lower-case letters and digits.")

    def make(reactor: IServerReactor, settings: object) -> ICacheTier:
        """Make the tier, once in each process; *settings* are `imgforge.cache.SharedTierSettings`."""


class IConfiguredCacheTierFactory(ICacheTierFactory, IConfiguredFactory):
    """A factory of tiers with settings of its own."""


class VisitMark(Protocol):
    """The mark of an entry that spares it from the next eviction, valid until the tier drops the entry."""

    visited: bool


class IMemoryTier(ICacheTier):
    """A tier in the memory of this process. Its Deferreds have fired when they are returned."""

    def peek(key: bytes) -> CacheEntry | None:
        """The entry that `get` gives, without a Deferred."""

    def visit_mark(key: bytes) -> VisitMark | None:
        """The mark of the entry under *key*, to be set by a table that serves the entry without `get`."""

    def charge(key: bytes, size: int) -> bool:
        """Count *size* more bytes, or fewer if negative, as those of the entry under *key*, and evict others for them.

        False, with nothing counted, if there is no such entry, or it has to go itself.
        """

    def add_drop_observer(observer: Callable[[bytes], None]) -> None:
        """Have *observer* called with the key of each entry that is evicted, replaced, removed or purged."""

    def drop(covered: Callable[[bytes, CacheEntry], bool]) -> int:
        """Drop the entries for which *covered* is true of key and entry; returns how many there were."""
