"""Types of settings: how text becomes a value; a ValueError names the allowed values."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Any

from imgforge.config.bind import parse_bind
from imgforge.config.fields import Checks, Reads

__all__ = [
    "FORMAT_NAMES",
    "Base64",
    "Bind",
    "FormatQuality",
    "Formats",
    "HexKeys",
    "Levels",
    "Moment",
    "NamedTexts",
    "Networks",
    "Pairs",
    "Path",
    "ResultFormat",
    "Words",
    "named_texts",
]

FORMAT_NAMES = ("jpeg", "png", "webp", "avif", "gif", "tiff", "heic", "jxl", "bmp", "ico", "psd", "pdf", "raw", "svg")
# Values of default_format: the original's format, or one that can be written.
_RESULTS = ("source", *(name for name in FORMAT_NAMES if name not in {"psd", "pdf", "raw", "svg"}))
_FORMAT_ALIASES = {"jpg": "jpeg", "tif": "tiff", "heif": "heic"}
_FIRST_YEAR = 1970  # of HTTP dates that all clients read
_HEX = re.compile(r"\s*(?:[0-9a-fA-F]{2})+\s*")
# trace and off are the Rust imgforge's: trace is debug here, and off keeps critical lines only.
_LEVEL_NAMES = ("debug", "info", "warn", "warning", "error", "critical", "trace", "off")


def _items(value: object, separator: str = ",") -> list[str]:
    """The parts of a list, given as text or as a TOML array."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(separator) if item.strip()]
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return list(value)
    raise ValueError(f"must be a list of texts, or one text with {separator!r} between them")


def _words(value: object) -> tuple[str, ...]:
    return tuple(_items(value))


def _hex_keys(value: object) -> tuple[bytes, ...]:
    """Only an empty value means no keys: a stray comma or blank must not switch signatures off."""
    items = value.split(",") if isinstance(value, str) and value else value
    if items in ("", (), []):
        return ()
    if not isinstance(items, list) or not all(isinstance(item, str) and _HEX.fullmatch(item) for item in items):
        raise ValueError("must be hexadecimal digits, an even number of them; several separated by commas")
    return tuple(bytes.fromhex(item) for item in items)


def _network(text: str) -> str:
    try:
        return text if text == "unix" else str(ip_network(text))
    except ValueError:
        raise ValueError(
            f"must be networks such as 10.0.0.0/8 or 2001:db8::/32, addresses, or unix, not {text!r}"
        ) from None


def _networks(value: object) -> tuple[str, ...]:
    """Only an empty value means all networks: a stray comma or blank must not lift the restriction."""
    networks = tuple(_network(item) for item in _items(value))
    if value and not networks:
        raise ValueError("must name a network, or be empty")
    return networks


def _format(name: str) -> str:
    canonical = _FORMAT_ALIASES.get(name.lower(), name.lower())
    if canonical not in FORMAT_NAMES:
        raise ValueError(f"must name formats among {', '.join(FORMAT_NAMES)}, not {name!r}")
    return canonical


def _result_format(value: object) -> str:
    name = str(value).strip().lower()
    canonical = _FORMAT_ALIASES.get(name, name)
    if canonical not in _RESULTS:
        raise ValueError(f"must be one of {', '.join(_RESULTS)}, not {value!r}")
    return canonical


def _formats(value: object) -> tuple[str, ...]:
    return tuple(_format(name) for name in _items(value))


def _format_quality(value: object) -> dict[str, int]:
    pairs = value.items() if isinstance(value, dict) else (item.partition("=")[::2] for item in _items(value))
    made = {}
    for name, quality in pairs:
        if not re.fullmatch(r"[0-9]{1,3}", str(quality)) or not 1 <= int(quality) <= 100:
            raise ValueError("must be pairs such as webp=79,avif=63 with qualities from 1 to 100")
        made[_format(name)] = int(quality)
    return made


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    pairs = [(name, text) for name, equals, text in (item.partition("=") for item in _items(value, ";")) if equals]
    if len(pairs) != len(_items(value, ";")):
        raise ValueError("must be pairs pattern=replacement, separated by semicolons")
    return tuple(pairs)


def named_texts(value: object) -> dict[str, str]:
    """`a=x,b=y` or a table as a dict; `ValueError` where it is neither."""
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return {str(name): text for name, text in value.items()}
    named = [item.partition("=") for item in _items(value)]
    if any(not equals or not name for name, equals, _ in named):
        raise ValueError("must be pairs name=options, separated by commas")
    return {name: text for name, _, text in named}


def _base64(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None


def _bind(text: str) -> str:
    parse_bind(text)
    return text


def _path(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError("must be empty or begin with a slash")
    return text


def _levels(text: str) -> str:
    for item in filter(None, (item.strip() for item in text.split(","))):
        namespace, equals, level = item.rpartition("=")
        if level.strip().lower() not in _LEVEL_NAMES or (equals and not namespace.strip()):
            raise ValueError(f"must be one of {', '.join(_LEVEL_NAMES)}, or namespace=level, separated by commas")
    return text


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        moment = None
    if text and (moment is None or moment.tzinfo is None or moment.year < _FIRST_YEAR):
        raise ValueError("must be a time as in RFC 3339, with its zone: 2026-01-31T23:59:59Z")
    return text


_TEXT = {"type": "string"}
_LIST = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}


def _table(value: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [_TEXT, {"type": "object", "additionalProperties": value}]}


Words = Annotated[tuple[str, ...], Reads(_words, _LIST)]
Networks = Annotated[tuple[str, ...], Reads(_networks, _LIST)]
HexKeys = Annotated[tuple[bytes, ...], Reads(_hex_keys, _LIST, lambda keys: ",".join(key.hex() for key in keys))]
ResultFormat = Annotated[str, Reads(_result_format, _TEXT)]
Formats = Annotated[tuple[str, ...], Reads(_formats, _LIST)]
FormatQuality = Annotated[dict[str, int], Reads(_format_quality, _table({"type": "integer"}))]
Pairs = Annotated[tuple[tuple[str, str], ...], Reads(_pairs, _LIST)]
NamedTexts = Annotated[dict[str, str], Reads(named_texts, _table(_TEXT))]
Bind = Annotated[str, Checks(_bind)]
Path = Annotated[str, Checks(_path)]
Levels = Annotated[str, Checks(_levels)]
Moment = Annotated[str, Checks(_moment)]
Base64 = Annotated[bytes, Reads(_base64, _TEXT, lambda data: base64.b64encode(data).decode())]
