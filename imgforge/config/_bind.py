"""Where the server listens: the notations of imgproxy and the Rust imgforge, and Twisted's endpoint strings."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

__all__ = ["BindAddress", "parse_bind"]

_ENDPOINTS = frozenset({"tcp", "tcp4", "tcp6", "ssl", "unix", "systemd"})
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\s]*)):(?P<port>\d{1,5})\Z")
_UNESCAPED_COLON = re.compile(r"(?<!\\):")


@dataclass(frozen=True, slots=True)
class BindAddress:
    """One listener. `kind` is tcp, ssl, unix or systemd; `options` are the endpoint's named arguments."""

    kind: str
    host: str = ""
    port: int = 0
    path: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; of a socket that systemd opened we cannot tell."""
        if self.kind == "unix":
            return True
        if self.kind == "systemd":
            return False
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "systemd":
            return "systemd:" + ":".join(f"{name}={value}" for name, value in self.options.items())
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.kind == 'ssl' else 'http'}://{host}:{self.port}"


def parse_bind(text: str) -> tuple[BindAddress, ...]:
    """The listeners that *text* names, separated by commas or spaces; `ValueError` says what one must look like.

    Each is `host:port`, `:port`, `port`, `[v6]:port`, `/path`, or an endpoint string of Twisted such as
    `tcp:8080:interface=127.0.0.1`, `unix:/run/imgforge.sock`, `ssl:443:privateKey=key.pem:certKey=cert.pem` or
    `systemd:domain=INET:index=0`.
    """
    return tuple(_parse(item) for item in re.split(r"[,\s]+", text.strip()) if item)


def _parse(item: str) -> BindAddress:
    kind = item.partition(":")[0]
    if kind in _ENDPOINTS and ":" in item:
        return _endpoint(kind.rstrip("46"), item, "::" if kind == "tcp6" else "0.0.0.0")  # noqa: S104
    if item.startswith("/"):
        return BindAddress("unix", path=item)
    if item.isascii() and item.isdigit():
        item = f":{item}"
    match = _HOST_PORT.match(item)
    if match is None:
        raise ValueError(f"must be host:port, a port, /path or an endpoint such as tcp:8080, not {item!r}")
    host = match["v6"] or match["host"] or "0.0.0.0"  # noqa: S104  # no host means every interface
    return BindAddress("tcp", host=host, port=_port(match["port"]))


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"the port must be a number up to 65535, not {text!r}")
    return int(text)


def _endpoint(kind: str, item: str, every_interface: str) -> BindAddress:
    parts = [part.replace("\\:", ":") for part in _UNESCAPED_COLON.split(item)[1:]]
    plain = [part for part in parts if "=" not in part]
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    if kind == "unix":
        path = plain[0] if plain else named.pop("address", "")
        if not path:
            raise ValueError("unix: needs a path")
        return BindAddress("unix", path=path, options=named)
    if kind == "systemd":
        return BindAddress("systemd", options=named)
    port = _port(plain[0] if plain else named.pop("port", ""))
    if kind == "ssl" and "privateKey" not in named:
        raise ValueError("ssl: needs privateKey= and, if it is another file, certKey=")
    return BindAddress(kind, host=named.pop("interface", every_interface), port=port, options=named)
