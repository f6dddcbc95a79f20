"""A bucket that imgforge itself reads and writes: what all stores have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.errors import ImgforgeError, SourceTooLarge
from imgforge.interfaces import IServerReactor
from imgforge.object_stores import IObjectStore, ObjectPage, ObjectStoreError, ObjectTooLarge
from imgforge.sources.http import Deadline, ObjectClient, OriginRequest, Refusal, ServiceResponse
from imgforge.sources.settings import SourceSettings
from imgforge.sources.stores.setting_names import of_the_cache
from imgforge.sources.stores.store_skew import StoreSkew
from imgforge.sources.stores.store_source import Closable

__all__ = ["ObjectKind", "ObjectStore"]

T = TypeVar("T")

_LONGEST_PAGE = 4 * 1024 * 1024  # bytes of a listing of 1000 objects with names of some 1000 bytes
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound"})
_MISSING, _EMPTY = 404, 416


class ObjectKind(Protocol):
    """The requests of one kind of store, for the objects of one bucket, and what its answers say.

    Making a request fails with an `ImgforgeError`, as without credentials.
    """

    where: str

    async def get(self, name: str, size: int = 0) -> OriginRequest:
        """For the object, or where it is not 0 for its first *size* bytes."""

    async def head(self, name: str) -> OriginRequest:
        """For the object's size."""

    async def put(self, name: str, body: bytes, content_type: str, lifetime: float) -> OriginRequest:
        """To write the object."""

    async def remove(self, name: str) -> OriginRequest:
        """To delete the object."""

    async def list(self, prefix: str, marker: str, most: int) -> OriginRequest:
        """For a page of a listing, of at most so many objects."""

    def size(self, response: ServiceResponse) -> int:
        """What the answer to `head` says; `ValueError` where it says nothing."""

    def page(self, response: ServiceResponse, most: int) -> ObjectPage:
        """What the answer to `list` says; `ValueError` where it is malformed."""

    async def learn_from(self, refusal: Refusal) -> bool:
        """Whether *refusal* told what the next request will do better."""

    def code(self, refusal: Refusal) -> str:
        """The store's word for why it refused; "" where it says none."""

    def explain(self, refusal: Refusal) -> str:
        """What the operator can do, in one line; "" where that is unknown."""


@implementer(IObjectStore)
class ObjectStore:
    """See `IObjectStore`; each call may take *timeout* seconds. *credentials* are closed with it."""

    page_size = 1000  # objects

    def __init__(
        self,
        reactor: IServerReactor,
        settings: SourceSettings,
        kind: ObjectKind,
        timeout: float,
        credentials: Closable | None,
    ) -> None:
        self.where = kind.where
        self._clock = reactor
        self._client = ObjectClient(reactor, settings)
        self._kind = kind
        self._timeout = timeout
        self._credentials = credentials
        self._skew = StoreSkew()

    def get(self, name: str, longest: int) -> Deferred[bytes | None]:
        """See `IObjectStore`."""
        return self._run(self._get(lambda: self._kind.get(name), longest))

    def get_start(self, name: str, size: int) -> Deferred[bytes | None]:
        """See `IObjectStore`."""
        return self._run(self._get(lambda: self._kind.get(name, size), size))

    def size_of(self, name: str) -> Deferred[int | None]:
        """See `IObjectStore`."""
        return self._run(self._size_of(name))

    def put(self, name: str, body: bytes, content_type: str, lifetime: float = 0.0) -> Deferred[None]:
        """See `IObjectStore`."""
        return self._run(self._write(lambda: self._kind.put(name, body, content_type, lifetime)))

    def remove(self, name: str) -> Deferred[None]:
        """See `IObjectStore`."""
        return self._run(self._write(lambda: self._kind.remove(name), (_MISSING,)))

    def page(self, prefix: str, marker: str = "") -> Deferred[ObjectPage]:
        """See `IObjectStore`."""
        return self._run(self._page(prefix, marker))

    def ahead(self) -> float:
        """See `IObjectStore`."""
        return self._skew.ahead

    def close(self) -> Deferred[None]:
        """See `IObjectStore`."""
        closing = [self._client.close(), succeed(None) if self._credentials is None else self._credentials.close()]
        return gatherResults(closing).addCallback(lambda _: None)

    async def _get(self, make: Callable[[], Awaitable[OriginRequest]], longest: int) -> bytes | None:
        response = await self._ask(make, longest, (_MISSING, _EMPTY))
        if response.status == _MISSING:
            return None
        return b"" if response.status == _EMPTY else response.body

    async def _size_of(self, name: str) -> int | None:
        response = await self._ask(lambda: self._kind.head(name), _LONGEST_PAGE, (_MISSING,))
        return None if response.status == _MISSING else self._kind.size(response)

    async def _write(self, make: Callable[[], Awaitable[OriginRequest]], accepted: Collection[int] = ()) -> None:
        await self._ask(make, _LONGEST_PAGE, accepted)

    async def _page(self, prefix: str, marker: str) -> ObjectPage:
        most = self.page_size
        page = self._kind.page(await self._ask(lambda: self._kind.list(prefix, marker, most), _LONGEST_PAGE), most)
        if marker and page.marker == marker:
            raise ValueError("the listing does not go on")
        return page._replace(objects=[each for each in page.objects if each.name.startswith(prefix)])

    async def _ask(
        self, make: Callable[[], Awaitable[OriginRequest]], longest: int, accepted: Collection[int] = ()
    ) -> ServiceResponse:
        """The response, with a status of success or an *accepted* one; asks again where the kind learnt from one."""
        corrected = False
        while True:
            request, sent = await make(), self._clock.seconds()
            response = await self._client.ask(self.where, request, longest)
            self._skew.observe(response.headers.get("date", ""), sent, self._clock.seconds())
            refusal = Refusal(request, response.status, response.headers, response.body)
            if 200 <= response.status < 300:
                return response
            if response.status in accepted and self._kind.code(refusal) not in _NO_BUCKET:
                return response
            if corrected or not await self._kind.learn_from(refusal):
                raise self._error(refusal)
            corrected = True

    def _error(self, refusal: Refusal) -> ObjectStoreError:
        why = ": ".join(filter(None, (self._kind.code(refusal), self._kind.explain(refusal))))
        return ObjectStoreError(
            f"{self.where} answered {refusal.status} to {refusal.request.method}" + (f" ({why})" if why else "")
        )

    def _run(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        return Deadline(self._clock, self._timeout).run(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> Any:
        """Fail with `ObjectStoreError` for what the network, the credentials and a malformed answer raise."""
        failure.trap(ImgforgeError, ValueError)
        error = failure.value
        if isinstance(error, SourceTooLarge):
            raise ObjectTooLarge(f"{self.where}: {error.message}") from None
        line = error.logged if isinstance(error, ImgforgeError) else f"a malformed answer: {error}"
        raise ObjectStoreError(f"{self.where}: {of_the_cache(line)}") from None
