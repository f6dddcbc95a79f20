"""Where a Redis or Valkey server is, and how to log in there: a redis://, rediss:// or unix:// URL, in parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["RedisAddress", "parse_redis_url"]

_PORT = 6379
_MOST_DATABASES = 1 << 16
_DATABASE = re.compile(r"[0-9]{1,5}")
# Names as redis-py and Celery have them in such URLs.
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_FORM = "must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://... for TLS, or unix://PATH[?db=DATABASE]"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A server by *host* and *port*, or by the *path* of its socket; a *database* of it; user and password.

    The files, paths or empty, are for TLS: certificates of authorities, instead of the system's, and the certificate
    and key that this client shows.
    """

    host: str = ""
    port: int = _PORT
    path: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def __str__(self) -> str:
        """The URL as logs show it, without user and password."""
        if self.path:
            return f"unix://{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"


def parse_redis_url(url: str) -> RedisAddress:
    """The address that *url* names; ValueError says what is allowed, and never what the URL has."""
    if not url.isprintable() or any(char.isspace() for char in url):
        raise ValueError(_FORM)
    try:
        parts = urlsplit(url)
        port = _PORT if parts.port is None else parts.port
    except ValueError:
        raise ValueError(f"{_FORM}; in a password, write %2F for / and %40 for @") from None
    if parts.scheme not in {"redis", "rediss", "unix"} or not parts.netloc + parts.path or port == 0:
        raise ValueError(_FORM)
    if parts.fragment:
        raise ValueError("must not have a #; in a password, write %23 for it")
    options = _options(parts.query, tls=parts.scheme == "rediss")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if username and not password:
        raise ValueError("must have a password beside the user; a password alone is :PASSWORD@")
    if parts.scheme == "unix":
        if parts.hostname or not parts.path.startswith("/"):
            raise ValueError("must have the whole path of the socket, as in unix:///run/redis/redis.sock")
        database = _database(options.get("db", ""))
        return RedisAddress(path=unquote(parts.path), database=database, username=username, password=password)
    if not parts.hostname:
        raise ValueError(_FORM)
    path = parts.path.removeprefix("/")
    if path and "db" in options:
        raise ValueError("must have the database once, as /DATABASE or as ?db=DATABASE")
    return RedisAddress(
        host=parts.hostname,
        port=port,
        database=_database(path or options.get("db", "")),
        username=username,
        password=password,
        tls=parts.scheme == "rediss",
        ca_file=options.get("ssl_ca_certs", ""),
        certificate_file=options.get("ssl_certfile", ""),
        key_file=options.get("ssl_keyfile", ""),
    )


def _options(query: str, *, tls: bool) -> dict[str, str]:
    allowed = ("db", *_TLS_FILES) if tls else ("db",)
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise ValueError(_FORM) from None
    if any(name not in allowed or not value for name, value in options):
        raise ValueError(f"must have no options after the ? but {', '.join(allowed)}")
    return dict(options)


def _database(text: str) -> int:
    if text and not (_DATABASE.fullmatch(text) and int(text) < _MOST_DATABASES):
        raise ValueError("must name the database by a number, 0 without one")
    return int(text or 0)
