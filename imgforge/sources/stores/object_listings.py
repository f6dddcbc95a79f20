"""Pages of listings, in the XML and the JSON of stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from imgforge.model import seconds_of_http_date

__all__ = ["elements", "parsed_json", "parsed_xml", "seconds_of_date", "seconds_of_time", "size_of", "text_of"]

_LONGEST_SIZE = 18  # digits


def parsed_xml(body: bytes) -> Any:
    """The root element of *body*; `ValueError` where it is malformed. Entities are not expanded, nothing is loaded."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"no XML: {error}") from None


def elements(parent: Any, name: str) -> Iterator[Any]:
    """The children of *parent* called *name*, in whatever namespace."""
    return (child for child in parent if isinstance(child.tag, str) and child.tag.rpartition("}")[2] == name)


def text_of(parent: Any, name: str) -> str:
    """The text of the first child of *parent* called *name*; "" without one."""
    return next((child.text or "" for child in elements(parent, name)), "")


def parsed_json(body: bytes, type_: Any) -> Any:
    """*body* as a value of *type_*; `ValueError` where it is none."""
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not the JSON of a listing: {error}") from None


def size_of(text: str) -> int:
    """The number of bytes that *text* is; `ValueError` where it is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_SIZE):
        raise ValueError("no size of an object")
    return int(text)


def seconds_of_time(text: str) -> float:
    """The seconds since the epoch of an ISO 8601 time, in UTC unless it says otherwise; `ValueError` for another."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


def seconds_of_date(text: str) -> float:
    """The seconds since the epoch of a date as HTTP has it; `ValueError` for another."""
    seconds = seconds_of_http_date(text)
    if seconds is None:
        raise ValueError("no date")
    return seconds
