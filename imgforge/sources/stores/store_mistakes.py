"""Mistakes in the settings of a store, which end the start."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

__all__ = ["StoreMistake", "endpoint_url", "require"]


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


def endpoint_url(setting: str, value: str) -> str:
    """The endpoint *value* as a URL without a slash at its end; without a scheme it is http."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or "@" in parts.netloc:
        raise StoreMistake(f"{setting}={value!r} must be a URL such as https://host:port, without a query")
    return url.rstrip("/")
