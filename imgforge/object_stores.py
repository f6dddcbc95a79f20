"""The interface of a bucket that imgforge itself reads and writes, between what keeps objects there and the stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

__all__ = ["IObjectStore", "ObjectPage", "ObjectStoreError", "ObjectTooLarge", "StoredObject"]


class ObjectStoreError(OSError):
    """A store of objects refuses, cannot be reached or is late; the message is a line for the operator's log."""


class ObjectTooLarge(ObjectStoreError):
    """The object has more bytes than its reader takes."""


class StoredObject(NamedTuple):
    """An object in a listing: its name, its bytes, and when it was written, in seconds since the epoch of the store's
    clock."""

    name: str
    size: int
    modified: float


class ObjectPage(NamedTuple):
    """A part of a listing; `marker` gives the next part, "" where there is none."""

    objects: Sequence[StoredObject]
    marker: str


class IObjectStore(Interface):
    """The objects of one bucket of an object store, for what imgforge itself keeps there.

    Names are of lower-case letters, digits and `-._/`, after a prefix that the operator chooses. Each call has a time
    limit, and all but `close` fail with `ObjectStoreError`. Cancelling a Deferred gives its connection up.
    """

    where: str = Attribute('The bucket, as logs name it: "s3://bucket".')

    def get(name: str, longest: int) -> Deferred[bytes | None]:
        """The object's bytes, None where there is no object; `ObjectTooLarge` if there are more than *longest*."""

    def get_start(name: str, size: int) -> Deferred[bytes | None]:
        """The first *size* bytes of the object, or all that there are; None where there is no object."""

    def size_of(name: str) -> Deferred[int | None]:
        """How many bytes the object has; None where there is no object."""

    def put(name: str, body: bytes, content_type: str, lifetime: float = 0.0) -> Deferred[None]:
        """Write the object, in place of the one that is there.

        A store that can is told to delete it after *lifetime* seconds; 0 is never.
        """

    def remove(name: str) -> Deferred[None]:
        """Delete the object, if there is one."""

    def page(prefix: str, marker: str = "") -> Deferred[ObjectPage]:
        """The objects whose names begin with *prefix*, by name, at most 1000; *marker* is that of the page before."""

    def ahead() -> float:
        """How many seconds the store's clock is ahead of this machine's, as far as its answers show; 0 where they may
        agree."""

    def close() -> Deferred[None]:
        """Let go of connections and threads."""
