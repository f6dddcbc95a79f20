"""Daemon threads, which do not keep a process alive: a thread may wait for a dead medium or name server for ever."""

from __future__ import annotations

from threading import Thread
from typing import Any

from twisted.python.threadpool import ThreadPool

__all__ = ["DaemonThread", "DaemonThreadPool"]


class DaemonThread(Thread):
    """A thread that the process does not wait for at its end."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named, daemon=True)


class DaemonThreadPool(ThreadPool):
    """Twisted's thread pool, on daemon threads."""

    threadFactory = DaemonThread
