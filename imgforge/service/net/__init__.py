"""Listening: addresses, TLS, and the spread of connections over workers."""

from imgforge.service.net.balance import ConnectionCounts, WorkerShare
from imgforge.service.net.epoll_group import epoll_group_usable
from imgforge.service.net.listeners import (
    Listener,
    ListenError,
    accept_waiting,
    adopt,
    open_listeners,
)
from imgforge.service.net.tls import Credentials, CredentialsError, read_credentials

__all__ = [
    "ConnectionCounts",
    "Credentials",
    "CredentialsError",
    "ListenError",
    "Listener",
    "WorkerShare",
    "accept_waiting",
    "adopt",
    "epoll_group_usable",
    "open_listeners",
    "read_credentials",
]
