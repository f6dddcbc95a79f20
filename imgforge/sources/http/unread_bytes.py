"""Bytes that an idle connection has received, and that nobody asked for."""

from __future__ import annotations

import socket
from typing import Any

from OpenSSL import SSL

__all__ = ["has_unread_bytes"]


def has_unread_bytes(transport: Any) -> bool:
    """Whether an idle connection has unread bytes, or was closed; layer by layer, TLS first."""
    while transport is not None:
        handle = transport.getHandle()
        try:
            if isinstance(handle, SSL.Connection):
                handle.recv(1, socket.MSG_PEEK)
            else:
                handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, SSL.WantReadError):
            transport = getattr(transport, "transport", None)
        except (OSError, SSL.Error):
            return True
        else:
            return True
    return False
