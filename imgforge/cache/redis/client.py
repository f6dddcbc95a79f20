"""The client: redis-py, whose calls block, on threads of the tier's own.

redis-py is Redis' own client: it has a release every few weeks, types, users and passwords, TLS that checks the host's
name, sockets of the file system, and hiredis' parser in C. (Its asyncio half needs another reactor than Twisted's.
txredisapi, made for Twisted, leaves the checking of certificates to its caller and converts what entries contain.) A
call that waits for a dead server ends by the timeout of its socket, and nobody in the reactor's thread waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from imgforge.cache.redis.faults import RedisFault, fault_of
from imgforge.model import RedisAddress

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisClient", "redis_mistake"]

# What `CLIENT LIST` shows.
_NAME = "imgforge"


def redis_mistake() -> str:
    """One line with the command that installs redis-py, where it is missing; else empty."""
    found = find_spec("redis") is not None
    return "" if found else "IMGFORGE_CACHE_USE=redis needs redis-py: pip install 'twisted-imgforge[redis]'"


class RedisClient:
    """At most *connections* to the server at *address*; each step of a call takes at most *timeout* seconds."""

    def __init__(self, address: RedisAddress, timeout: float, connections: int) -> None:
        if mistake := redis_mistake():
            raise ValueError(mistake)
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self.address = address
        options: dict[str, Any] = {
            "db": address.database,
            "username": address.username or None,
            "password": address.password or None,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            # The cache asks again, or not: a retry would wait for a dead server twice.
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,  # servers and proxies without HELLO work too
            "client_name": _NAME,
        }
        kind: type[redis.Connection | redis.UnixDomainSocketConnection] = redis.Connection
        if address.path:
            kind = redis.UnixDomainSocketConnection
            options["path"] = address.path
        else:
            options |= {"host": address.host, "port": address.port}
        if address.tls:
            kind = redis.SSLConnection
            options |= {
                "ssl_ca_certs": address.ca_file or None,
                "ssl_certfile": address.certificate_file or None,
                "ssl_keyfile": address.key_file or None,
            }
        self._errors = redis.RedisError
        self._answered = False  # ever
        self._closed = False
        self._pool = redis.ConnectionPool(connection_class=kind, max_connections=connections, **options)
        self._redis = redis.Redis(connection_pool=self._pool)

    @contextmanager
    def session(self) -> Iterator[Redis]:
        """redis-py's client, for a thread; what it raises becomes a `RedisFault`."""
        if self._closed:
            raise RedisFault(f"{self.address} is not used any more")
        try:
            yield self._redis
        except self._errors as error:
            raise fault_of(error, self.address, wrong_protocol=not self._answered) from None
        self._answered = True

    def close(self) -> None:
        """Close all connections; calls under way, and those that follow, fail."""
        self._closed = True
        self._pool.disconnect()
