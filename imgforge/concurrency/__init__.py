"""How work is shared out: equal work done once, limits on what runs at once, and threads for work that may hang."""

from imgforge.concurrency.body_threads import run_by_size
from imgforge.concurrency.coalescing import Coalescer
from imgforge.concurrency.concurrency_limit import ConcurrencyLimit, ConcurrencyLimits
from imgforge.concurrency.daemon_threads import DaemonThread, DaemonThreadPool, call_on_thread
from imgforge.concurrency.file_threads import FileThreads, Stalled, TimeLimit
from imgforge.concurrency.own_reactor import run_handling_signals, run_in_own_reactor
from imgforge.concurrency.reporting_threads import ReportingThreads

__all__ = [
    "Coalescer",
    "ConcurrencyLimit",
    "ConcurrencyLimits",
    "DaemonThread",
    "DaemonThreadPool",
    "FileThreads",
    "ReportingThreads",
    "Stalled",
    "TimeLimit",
    "call_on_thread",
    "run_by_size",
    "run_handling_signals",
    "run_in_own_reactor",
]
