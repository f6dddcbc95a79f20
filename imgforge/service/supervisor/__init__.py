"""The process that starts, watches and replaces worker processes, and what a worker needs to talk to it."""

from imgforge.service.supervisor.child import HEARTBEAT_INTERVAL, report_failure, send_heartbeat
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
