"""Request headers and cookies that are part of the cache key."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.web.server import Request

__all__ = ["ClientKey"]


@dataclass(frozen=True, slots=True)
class ClientKey:
    """The operator's choice: names of request headers in lower case, and of cookies."""

    headers: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.headers or self.cookies)

    def of(self, request: Request) -> tuple[str | None, ...]:
        """The values in *request*, in order; None for an absent one."""
        values = [request.getHeader(name.encode("ascii")) for name in self.headers]
        values += [request.getCookie(name.encode("ascii")) for name in self.cookies]
        return tuple(None if value is None else value.decode("latin-1") for value in values)

    def vary(self) -> tuple[bytes, ...]:
        """The request headers that a response depends on by this."""
        names = tuple(name.encode("ascii").title() for name in self.headers)
        return (*names, b"Cookie") if self.cookies else names
