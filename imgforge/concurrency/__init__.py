"""How work is shared out: equal work done once, and threads for work that may hang."""

from imgforge.concurrency.coalescing import Coalescer
from imgforge.concurrency.daemon_threads import DaemonThread, DaemonThreadPool
from imgforge.concurrency.file_threads import FileThreads, IDiskReactor, Stalled, TimeLimit

__all__ = ["Coalescer", "DaemonThread", "DaemonThreadPool", "FileThreads", "IDiskReactor", "Stalled", "TimeLimit"]
