"""The Celery application of a fleet: `celery -A imgforge.queue worker` finds it as `app`.

Messages are JSON, and nothing else is taken. A message is acknowledged when its image is in the cache, or has been
put into another queue: a worker that dies returns it to the broker. The task itself is in the module that `include`
names, which is above this package, since it needs the whole pipeline.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from imgforge.config import ConfigurationError, Settings, load_settings

__all__ = ["QUEUE", "TASK", "TRACE_HEADER", "app", "holds_waiting", "make_app"]

QUEUE = "imgforge"
TASK = "imgforge.render"
TRACE_HEADER = "traceparent"  # of messages: the trace of the job's request, as W3C's Trace Context has it
_TASK_MODULE = "imgforge.service.render_task"

_CONNECT_TIMEOUT = 4.0  # seconds
_RESTORE_INTERVAL = 5  # seconds between two looks for the messages of workers that died, at Redis
_ANSWER_TIMEOUT = 10.0  # seconds in which Redis must answer

app: Celery


def make_app(settings: Settings) -> Celery:
    """The application for *settings*, which its tasks find as `imgforge_settings`."""
    application = Celery("imgforge", include=[_TASK_MODULE], set_as_current=True)
    application.conf.update(
        broker_url=settings.queue_url,
        broker_connection_timeout=_CONNECT_TIMEOUT,
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport_options(settings),
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=True,
        worker_redirect_stdouts=False,
        enable_utc=True,
    )
    application.imgforge_settings = settings
    return application


def visibility_timeout(settings: Settings) -> int:
    """Seconds after which Redis gives the message of a silent worker to another.

    A worker has a message while the image before it is made, and while its own is. It holds none that waits for its
    next try (`holds_waiting`): many of them would be given to others meanwhile.
    """
    return int(2 * settings.timeout) + 5


def holds_waiting(settings: Settings) -> bool:
    """Whether workers keep the messages that wait for another try; else these go round in the queue."""
    return settings.queue_url.startswith("amqp")


def _transport_options(settings: Settings) -> dict[str, Any]:
    if holds_waiting(settings):
        return {"confirm_publish": True}
    return {
        "visibility_timeout": visibility_timeout(settings),
        "unacked_restore_interval": _RESTORE_INTERVAL,
        "unacked_restore_throttle": 1,
        "socket_timeout": _ANSWER_TIMEOUT,
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "socket_keepalive": True,
    }


def _configured() -> Celery:
    """The application for the settings of the environment; mistakes in them end the program."""
    try:
        settings = load_settings(None, os.environ)
    except ConfigurationError as error:
        raise SystemExit("\n".join(f"imgforge: {line}" for line in error.lines)) from None
    if not settings.queue_url:
        raise SystemExit("imgforge: IMGFORGE_QUEUE_URL is not set: it names the broker, amqp://... or redis://...")
    return make_app(settings)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = application = _configured()
    return application
