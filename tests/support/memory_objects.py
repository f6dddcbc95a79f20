"""A bucket in memory, on a clock that a test advances, with faults on demand."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from imgforge.model import Purge
from imgforge.object_stores import IObjectStore, ObjectPage, ObjectStoreError, ObjectTooLarge, StoredObject

__all__ = ["LearntPurges", "MemoryObjects"]

_PAGE = 3  # objects


class LearntPurges(list[Purge]):
    """The purges that a tier has told, as `LearnPurges`."""

    def __call__(self, purges: Sequence[Purge], *, replaced: bool = False) -> None:
        self.extend(purges)


@implementer(IObjectStore)
class MemoryObjects:
    """Several users share its *objects* by `user`, each with a clock of its own; `clock` is the store's.

    With a `fault` every call fails, and while `hung` none is answered. `calls` are the names of all calls.
    """

    where = "memory://bucket"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.types: dict[str, str] = {}
        self.lifetimes: dict[str, float] = {}
        self.calls: list[str] = []
        self.refused: set[str] = set()  # names that cannot be read
        self.fault = ""
        self.hung = False
        self.closed = False
        self.seconds_ahead = 0.0

    def _answer(self, call: str, result: object) -> Deferred[object]:
        self.calls.append(call)
        if self.hung:
            return Deferred()
        return fail(ObjectStoreError(self.fault)) if self.fault else succeed(result)

    def _body(self, name: str) -> bytes | None:
        found = self.objects.get(name)
        return None if found is None else found[0]

    def get(self, name: str, longest: int) -> Deferred[bytes | None]:
        body = self._body(name)
        if name in self.refused:
            return fail(ObjectStoreError("refused"))
        if body is not None and len(body) > longest:
            return fail(ObjectTooLarge("it is too long"))
        return self._answer("get", body)  # type: ignore[return-value]

    def get_start(self, name: str, size: int) -> Deferred[bytes | None]:
        body = self._body(name)
        return self._answer("get_start", None if body is None else body[:size])  # type: ignore[return-value]

    def size_of(self, name: str) -> Deferred[int | None]:
        body = self._body(name)
        return self._answer("size_of", None if body is None else len(body))  # type: ignore[return-value]

    def put(self, name: str, body: bytes, content_type: str, lifetime: float = 0.0) -> Deferred[None]:
        if not (self.fault or self.hung):
            self.objects[name] = body, self.clock.seconds()
            self.types[name], self.lifetimes[name] = content_type, lifetime
        return self._answer("put", None)  # type: ignore[return-value]

    def remove(self, name: str) -> Deferred[None]:
        if not (self.fault or self.hung):
            self.objects.pop(name, None)
        return self._answer("remove", None)  # type: ignore[return-value]

    def page(self, prefix: str, marker: str = "") -> Deferred[ObjectPage]:
        names = sorted(name for name in self.objects if name.startswith(prefix) and name > marker)
        found = [StoredObject(name, len(self.objects[name][0]), self.objects[name][1]) for name in names[:_PAGE]]
        more = len(names) > _PAGE
        return self._answer("page", ObjectPage(found, found[-1].name if more else ""))  # type: ignore[return-value]

    def ahead(self) -> float:
        return self.seconds_ahead

    def close(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)

    def user(self, seconds_ahead: float) -> MemoryObjects:
        """The same objects for a user whose clock the store's is *seconds_ahead* of."""
        other = MemoryObjects(self.clock)
        other.objects, other.types, other.seconds_ahead = self.objects, self.types, seconds_ahead
        other.refused = self.refused
        return other
