"""The attributes of spans, under imgproxy's names, without the secrets of sources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from imgforge.model import ImageRequest, InfoRequest
from imgforge.observability import RequestRecord, shown_source, without_user_info
from imgforge.service.work_routes import IMAGES

__all__ = [
    "hit_attributes",
    "image_attributes",
    "job_attributes",
    "option_attributes",
    "request_attributes",
    "shown_target",
    "source_attributes",
]

Attributes = dict[str, str | int | float | bool]

_LONGEST = 1000  # characters of a value
_MOST_PRESETS = 50
_OPTIONS = "imgproxy.options."

# imgproxy's names of options where they are not the names of our fields.
_NAMES = {
    "min_width": "min-width",
    "min_height": "min-height",
    "zoom_x": "zoom_width",
    "zoom_y": "zoom_height",
    "flip_horizontal": "flip.horizontal",
    "flip_vertical": "flip.vertical",
}
_PARTS = {"x": "x_offset", "y": "y_offset"}
_URLS = frozenset({"watermark_url", "fallback_image_url"})
# Options whose argument is a URL, or a text of the operator's client, in base64.
_HIDDEN = re.compile(rb"(?<=/)(wmu|watermark_url|fiu|fallback_image_url|wmt|watermark_text|st|style):[^/]*")
# What stands before a path where a request names the whole URL.
_ORIGIN = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_BEFORE_SOURCE = frozenset({b"plain", b"enc", b"-"})
_UNSIGNED = frozenset({b"info", b"unsafe"})
_QUERY = re.compile(rb"\?|%3f|#|%23", re.IGNORECASE)


def request_attributes(record: RequestRecord) -> Attributes:
    """What is known of a request at its begin: the sampler may look at it."""
    attributes: Attributes = {"http.method": record.method, "http.scheme": record.scheme}
    if record.client:
        attributes["net.sock.peer.addr"] = record.client
    return attributes


def image_attributes(record: RequestRecord) -> Attributes:
    """What is known of it at its end."""
    attributes: Attributes = {
        "http.url": shown_target(record.target, record.image.source if record.image is not None else ""),
        "http.status_code": record.status,
        "http.route": record.route,
        "http.response_content_length": record.size,
    }
    if record.agent:
        attributes["user_agent.original"] = record.agent[:_LONGEST]
    return attributes | _work_attributes(record)


def job_attributes(record: RequestRecord) -> Attributes:
    """What is known at its end of a job that made an image beforehand: no client has asked for it."""
    attributes: Attributes = {
        "imgforge.path": shown_target(record.target, record.image.source if record.image is not None else ""),
        "imgforge.status": record.status,
    }
    if record.job is not None:
        attributes["imgforge.tries"] = record.job.tries
        if record.job.request:
            attributes["imgforge.render_id"] = record.job.request
    return attributes | _work_attributes(record)


def _work_attributes(record: RequestRecord) -> Attributes:
    attributes: Attributes = {"imgforge.request_id": record.identity}
    optional = {"imgforge.cache_status": record.cache, "imgforge.format": record.format}
    attributes |= {name: value for name, value in optional.items() if value}
    if record.image is not None:
        attributes |= source_attributes(record.image.source) | option_attributes(record.image)
    return attributes


def source_attributes(url: str) -> Attributes:
    """The source of an image and its origin."""
    shown = shown_source(url)
    scheme, _, rest = shown.partition("://")  # urlsplit raises for some that a client may send
    authority = rest.partition("/")[0]
    origin = f"{scheme}://{authority}" if authority else shown.partition(":")[0]
    return {"imgproxy.source_image_url": shown, "imgproxy.source_image_origin": origin}


@lru_cache(maxsize=256)
def hit_attributes(target: bytes, source: str, image_format: str, cache: bytes) -> Attributes:
    """What all hits of a target have in common."""
    return {
        "http.url": shown_target(target),
        "http.route": IMAGES,
        "imgforge.cache_status": cache.decode("latin-1"),
        "imgforge.format": image_format,
        "imgproxy.source_image_url": source,
    }


def shown_target(target: bytes, source: str = "") -> str:
    """The *target* as far as it has no secrets.

    The signature is `***`, as in reports of errors: whoever has the whole URL may ask for the image. An encoded source
    is cut off, unless it is *source*, which is known to have no query and no password.
    """
    path = _QUERY.split(_HIDDEN.sub(rb"\1:***", target), maxsplit=1)[0]
    path = _without_signature(without_user_info(path))
    if b"/plain/" not in path and (not source or shown_source(source) != source):
        first, *rest = path.lstrip(b"/").split(b"/")
        path = b"/".join([b"", first, *(segment for segment in rest if b":" in segment or segment == b"info"), b"..."])
    return path[:_LONGEST].decode("utf-8", "backslashreplace")


def _without_signature(path: bytes) -> bytes:
    """*path* with `***` for what stands before its options, a prefix of paths included; without options, for all."""
    segments = _ORIGIN.sub(b"", path).lstrip(b"/").split(b"/")
    if len(segments) < 2:
        return path
    first = next((n for n, one in enumerate(segments) if b":" in one or one in _BEFORE_SOURCE), 0)
    if not first:
        return b"/info/***/..." if segments[0] == b"info" else b"/***/..."
    shown = [one if one in _UNSIGNED else b"***" for one in segments[:first]]
    return b"/".join((b"", *shown, *segments[first:]))


def option_attributes(image: ImageRequest | InfoRequest) -> Attributes:
    """The options that the URL sets; those of chained pipelines are numbered, as imgproxy does."""
    chained = image.chained if isinstance(image, ImageRequest) else ()
    attributes: Attributes = {}
    for number, options in enumerate((image.options, *chained)):
        prefix = f"{_OPTIONS}{number}." if chained else _OPTIONS
        for name, value in _set_fields(options):
            attributes[prefix + name] = value
    prefix = f"{_OPTIONS}0." if chained else _OPTIONS
    for name, value in _set_fields(image.delivery):
        attributes[prefix + name] = value
    if image.presets:
        attributes[f"{prefix}used_presets"] = f"[{' '.join(image.presets[:_MOST_PRESETS])}]"[:_LONGEST]
    return attributes


def _set_fields(options: Any) -> Iterator[tuple[str, str | int | float | bool]]:
    """Name and value of the fields that differ from their defaults."""
    for one in fields(options):
        value = getattr(options, one.name)
        if value == one.default or value is None:
            continue
        name = _NAMES.get(one.name, one.name)
        if one.name == "format_quality":
            yield from ((f"{name}.{format_name}", quality) for format_name, quality in value)
        elif one.name in _URLS:
            yield name, shown_source(value)
        else:
            yield from _flattened(name, value)


def _flattened(name: str, value: Any) -> Iterator[tuple[str, str | int | float | bool]]:
    if is_dataclass(value) and {"red", "green", "blue"} <= {one.name for one in fields(value)}:
        yield name, "#{:02x}{:02x}{:02x}".format(*(getattr(value, one) for one in ("red", "green", "blue")))
    elif is_dataclass(value):
        for one in fields(value):
            part = getattr(value, one.name)
            if part is not None and part != one.default:
                yield from _flattened(f"{name}.{_PARTS.get(one.name, one.name)}", part)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flattened(f"{name}.{key}", part)
    elif isinstance(value, (bool, int, float)):
        yield name, value
    elif isinstance(value, (tuple, list, frozenset)):
        yield name, f"[{' '.join(map(str, value))}]"[:_LONGEST]
    else:
        yield name, str(value)[:_LONGEST]
