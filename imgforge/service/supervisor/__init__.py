"""The process that starts, watches and replaces worker processes, and what a worker needs to talk to it.

Its parts are imported when they are asked for: a worker needs none of the supervisor's.
"""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.service.supervisor.heartbeat import HEARTBEAT_INTERVAL, report_failure, send_heartbeat
    from imgforge.service.supervisor.launcher import Launcher
    from imgforge.service.supervisor.metrics_directory import MetricsDirectory
    from imgforge.service.supervisor.quarantine_table import SharedCrashTracker
    from imgforge.service.supervisor.supervisor import Supervisor, SupervisorParts
    from imgforge.service.supervisor.template_process import TemplateProcess
    from imgforge.service.supervisor.worker_pool import PoolOutput

__all__ = [
    "HEARTBEAT_INTERVAL",
    "Launcher",
    "MetricsDirectory",
    "PoolOutput",
    "SharedCrashTracker",
    "Supervisor",
    "SupervisorParts",
    "TemplateProcess",
    "report_failure",
    "send_heartbeat",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".heartbeat": (
            "HEARTBEAT_INTERVAL",
            "report_failure",
            "send_heartbeat",
        ),
        ".launcher": ("Launcher",),
        ".metrics_directory": ("MetricsDirectory",),
        ".quarantine_table": ("SharedCrashTracker",),
        ".supervisor": (
            "Supervisor",
            "SupervisorParts",
        ),
        ".template_process": ("TemplateProcess",),
        ".worker_pool": ("PoolOutput",),
    },
)
