"""Where the server listens: the notations of imgproxy and the Rust imgforge, and Twisted's endpoint strings."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

__all__ = ["BindAddress", "parse_bind"]

# The arguments of endpoint strings, in the order of positional ones.
_ARGUMENTS = {
    "tcp": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "ssl": ("port", "privateKey", "certKey"),
    "systemd": ("domain", "index"),
}
_ARGUMENTS_BY_NAME = {"ssl": ("interface", "backlog"), "systemd": ("name",)}
_NUMBERS = {"mode": re.compile(r"[0-7]{3,4}"), "index": re.compile(r"[0-9]{1,4}"), "backlog": re.compile(r"[0-9]{1,9}")}
_EVERY_INTERFACE = {"tcp6": "::"}
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
        """Whether only this machine can reach the listener; False for a socket of systemd, whose address is unknown.

        False for a unix socket as well: it serves a proxy, and through it anybody.
        """
        if self.kind in {"unix", "systemd"}:
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
    """The listeners in *text*, separated by commas or spaces; `ValueError` names the accepted notations.

    Each is `host:port`, `:port`, `port`, `[v6]:port`, `/path`, or an endpoint string of Twisted such as
    `tcp:8080:interface=127.0.0.1`, `unix:/run/imgforge.sock`, `ssl:443:privateKey=key.pem:certKey=cert.pem` or
    `systemd:domain=INET:index=0`.
    """
    listeners = tuple(_parse(item) for item in re.split(r"[,\s]+", text.strip()) if item)
    if text and not listeners:
        raise ValueError(f"must name a listener, such as host:port, not {text!r}")
    return listeners


def _parse(item: str) -> BindAddress:
    kind, colon, _ = item.partition(":")
    if colon and (kind in _ARGUMENTS or kind in {"tcp4", "tcp6"}):
        return _endpoint(kind.rstrip("46"), item, _EVERY_INTERFACE.get(kind, "0.0.0.0"))  # noqa: S104
    if item.startswith("/"):
        return BindAddress("unix", path=item)
    if item.isascii() and item.isdigit():
        item = f":{item}"
    match = _HOST_PORT.match(item)
    if match is None:
        raise ValueError(f"must be host:port, a port, /path or an endpoint such as tcp:8080, not {item!r}")
    if match["v6"]:
        _check_v6(match["v6"])
    host = match["v6"] or match["host"] or "0.0.0.0"  # noqa: S104  # no host means every interface
    return BindAddress("tcp", host=host, port=_port(match["port"]))


def _check_v6(text: str) -> None:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError(f"{text!r} must be an IPv6 address") from None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"the port must be a number up to 65535, not {text!r}")
    return int(text)


def _endpoint(kind: str, item: str, every_interface: str) -> BindAddress:
    named = _arguments(kind, [part.replace("\\:", ":") for part in _UNESCAPED_COLON.split(item)[1:]])
    if kind == "unix":
        path = named.pop("address", "")
        if not path:
            raise ValueError("unix: needs a path")
        return BindAddress("unix", path=path, options=named)
    if kind == "systemd":
        return BindAddress("systemd", options=named)
    port = _port(named.pop("port", ""))
    if kind == "ssl" and "privateKey" not in named:
        raise ValueError("ssl: needs privateKey= and, if it is another file, certKey=")
    return BindAddress(kind, host=named.pop("interface", "") or every_interface, port=port, options=named)


def _arguments(kind: str, parts: list[str]) -> dict[str, str]:
    """The arguments by name; an unknown one is refused, since ignoring it could open the listener to more clients."""
    in_order = iter(_ARGUMENTS[kind])
    named = {}
    allowed = (*_ARGUMENTS[kind], *_ARGUMENTS_BY_NAME.get(kind, ()))
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            name, value = next(in_order, part), part
        if name not in allowed:
            raise ValueError(f"{kind}: takes {', '.join(allowed)}, not {part!r}")
        if value and name in _NUMBERS and not _NUMBERS[name].fullmatch(value):
            raise ValueError(f"{kind}: {name} must be a number, not {value!r}")
        named[name] = value
    return {name: value for name, value in named.items() if value}
