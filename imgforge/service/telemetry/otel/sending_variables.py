"""Variables of the exporters that the SDK refuses when a worker starts, found before.

It would end each worker anew with a traceback; and of headers that it cannot read it logs the text, which is a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from imgforge.service.telemetry.otel.destinations import GRPC, Receiver

__all__ = ["sending_mistakes"]

_COMPRESSIONS = {GRPC: ("gzip",)}  # the library of gRPC takes no other, not even none
_OTHERS = ("gzip", "deflate", "none", "")
_BATCHES = {"traces": "OTEL_BSP", "logs": "OTEL_BLRP"}
_MOST_QUEUED, _MOST_AT_ONCE = 2048, 512  # by default


def sending_mistakes(receivers: Sequence[Receiver], environ: Mapping[str, str]) -> Iterator[str]:
    """One line for each variable that what sends to *receivers* cannot use."""
    yield from dict.fromkeys(line for one in receivers for line in _mistakes_of(one, environ))


def _mistakes_of(receiver: Receiver, environ: Mapping[str, str]) -> Iterator[str]:
    for prefix in ("OTEL_EXPORTER_OTLP", f"OTEL_EXPORTER_OTLP_{receiver.signal.upper()}"):
        timeout = environ.get(f"{prefix}_TIMEOUT")
        if timeout is not None and (timeout or receiver.protocol == GRPC) and not _is_time(timeout):
            yield f"{prefix}_TIMEOUT={timeout!r} must be a number of seconds"
        compression, known = environ.get(f"{prefix}_COMPRESSION"), _COMPRESSIONS.get(receiver.protocol, _OTHERS)
        if compression is not None and compression.lower().strip() not in known:
            yield f"{prefix}_COMPRESSION={compression!r} must be {' or '.join(filter(None, known))}, or not be set"
        headers = environ.get(f"{prefix}_HEADERS", "").split(",")
        if any(one.strip() and not one.partition("=")[1] for one in headers):
            yield f"{prefix}_HEADERS=*** must be name=value pairs, with commas between them"
    if receiver.signal in _BATCHES:
        yield from _batch_mistakes(_BATCHES[receiver.signal], environ)


def _batch_mistakes(prefix: str, environ: Mapping[str, str]) -> Iterator[str]:
    names = ("MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE", "SCHEDULE_DELAY", "EXPORT_TIMEOUT")
    values = {name: environ[f"{prefix}_{name}"] for name in names if f"{prefix}_{name}" in environ}
    wrong = [name for name, value in values.items() if not _is_positive(value)]
    yield from (f"{prefix}_{name}={values[name]!r} must be a whole number above 0" for name in wrong)
    queued, at_once = values.get("MAX_QUEUE_SIZE", _MOST_QUEUED), values.get("MAX_EXPORT_BATCH_SIZE", _MOST_AT_ONCE)
    if not wrong and int(at_once) > int(queued):
        yield f"{prefix}_MAX_EXPORT_BATCH_SIZE ({at_once}) must not be above {prefix}_MAX_QUEUE_SIZE ({queued})"


def _is_positive(value: str) -> bool:
    with suppress(ValueError):
        return int(value) > 0
    return False


def _is_time(value: str) -> bool:
    with suppress(ValueError):
        return 0 < float(value) < 1e6
    return False
