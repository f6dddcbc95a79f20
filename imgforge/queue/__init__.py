"""Pre-rendering: queues of images that are made before anybody asks for them.

`celery -A imgforge.queue worker` finds `app` here. Each name is imported when it is asked for: neither queue costs a
server anything that has none.
"""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.queue.broker import BrokerQueue
    from imgforge.queue.celery import TASK, TRACE_HEADER, app, holds_waiting, make_app
    from imgforge.queue.embedded import EmbeddedQueue
    from imgforge.queue.embedded_rows import Claim
    from imgforge.queue.events import NotAnEvent, created_objects
    from imgforge.queue.intake import MOST_PATHS, Intake, jobs_of, path_of, request_for
    from imgforge.queue.jobs import (
        BROWSER_ACCEPT,
        JobFailed,
        JobQueue,
        QueueStatus,
        RenderFailure,
        RenderJob,
        backoff,
        new_request_id,
        read_job,
        read_traceparent,
    )
    from imgforge.queue.worker import EmbeddedWorker, WorkerObserver, WorkerSettings

__all__ = [
    "BROWSER_ACCEPT",
    "MOST_PATHS",
    "TASK",
    "TRACE_HEADER",
    "BrokerQueue",
    "Claim",
    "EmbeddedQueue",
    "EmbeddedWorker",
    "Intake",
    "JobFailed",
    "JobQueue",
    "NotAnEvent",
    "QueueStatus",
    "RenderFailure",
    "RenderJob",
    "WorkerObserver",
    "WorkerSettings",
    "app",
    "backoff",
    "created_objects",
    "holds_waiting",
    "jobs_of",
    "make_app",
    "new_request_id",
    "path_of",
    "read_job",
    "read_traceparent",
    "request_for",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".broker": ("BrokerQueue",),
        ".celery": ("TASK", "TRACE_HEADER", "app", "holds_waiting", "make_app"),
        ".embedded": ("EmbeddedQueue",),
        ".embedded_rows": ("Claim",),
        ".events": ("NotAnEvent", "created_objects"),
        ".intake": ("MOST_PATHS", "Intake", "jobs_of", "path_of", "request_for"),
        ".jobs": (
            "BROWSER_ACCEPT",
            "JobFailed",
            "QueueStatus",
            "RenderFailure",
            "RenderJob",
            "JobQueue",
            "backoff",
            "new_request_id",
            "read_job",
            "read_traceparent",
        ),
        ".worker": ("EmbeddedWorker", "WorkerObserver", "WorkerSettings"),
    },
)
