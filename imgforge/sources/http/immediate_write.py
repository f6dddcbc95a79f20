"""Requests that are sent at once: by way of the reactor's next round, each costs two changes of its epoll more."""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor

__all__ = ["write_at_once"]


def write_at_once(transport: Any, data: bytes) -> bool:
    """Write *data* to *transport*, to which all that was written before is sent; whether that still holds.

    A transport of TLS is none of the reactor's descriptors, but passes their methods on: its way is its own.
    """
    if not isinstance(transport, FileDescriptor):
        transport.write(data)
        return False
    written = transport.writeSomeData(data)
    sent = written if isinstance(written, int) else 0  # a connection that is lost: the reactor finds out as well
    if sent < len(data):
        transport.write(data[sent:])
    return sent == len(data)
