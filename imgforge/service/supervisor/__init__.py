"""The process that starts, watches and replaces worker processes, and what a worker needs to talk to it.

Its parts are imported when they are asked for: a worker needs none of the supervisor's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgforge.service.supervisor.heartbeat import HEARTBEAT_INTERVAL, report_failure, send_heartbeat
    from imgforge.service.supervisor.metrics_directory import MetricsDirectory
    from imgforge.service.supervisor.quarantine_table import SharedCrashTracker
    from imgforge.service.supervisor.supervisor import Supervisor, SupervisorParts
    from imgforge.service.supervisor.worker_pool import PoolOutput

__all__ = [
    "HEARTBEAT_INTERVAL",
    "MetricsDirectory",
    "PoolOutput",
    "SharedCrashTracker",
    "Supervisor",
    "SupervisorParts",
    "report_failure",
    "send_heartbeat",
]

_MODULES = {
    "HEARTBEAT_INTERVAL": "heartbeat",
    "MetricsDirectory": "metrics_directory",
    "PoolOutput": "worker_pool",
    "SharedCrashTracker": "quarantine_table",
    "Supervisor": "supervisor",
    "SupervisorParts": "supervisor",
    "report_failure": "heartbeat",
    "send_heartbeat": "heartbeat",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
