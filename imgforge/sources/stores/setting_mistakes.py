"""Mistakes in the settings of a store, which end the start."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from imgforge.errors import ImgforgeError
from imgforge.sources.http import to_wire_url

__all__ = ["StoreMistake", "endpoint_url", "require", "shown_url"]


_SCHEMES = frozenset({"http", "https"})  # no host has such a name: it is "http:/host" with a slash too few


class StoreMistake(ValueError):
    """A store that cannot be used with its settings; the message is one line for the operator."""


def require(setting: str, module: str, package: str, extra: str) -> None:
    """`StoreMistake` with the command that installs *package*, where *module* of it is missing."""
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent is there
        found = False
    if not found:
        raise StoreMistake(f"{setting} needs {package}: pip install 'twisted-imgforge[{extra}]'")


def shown_url(value: str) -> str:
    """*value*, which may be a URL, for logs: user information and a query can be secrets, such as Azure's SAS."""
    for mark in "?#":
        text, found, _ = value.partition(mark)
        value = f"{text}{mark}..." if found else value
    before, at, host = value.rpartition("@")
    return f"{before.partition('://')[0]}://...@{host}" if "://" in before else f"...@{host}" if at else value


def endpoint_url(setting: str, value: str) -> str:
    """The endpoint *value* as a URL without a slash at its end; without a scheme it is http."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _SCHEMES and parts.hostname not in _SCHEMES and parts.port != 0
        to_wire_url(url)
    except (ValueError, ImgforgeError):
        valid = False
    if not valid or parts.query or parts.fragment or "@" in parts.netloc:
        raise StoreMistake(
            f"{setting}={shown_url(value)!r} must be a URL such as https://host:port, without a user's name and a query"
        )
    return url.rstrip("/")
