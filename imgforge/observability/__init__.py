"""What an operator sees: metrics, logs, the access log."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.observability.access_log import Access, AccessLog, as_sent
    from imgforge.observability.imgproxy_errors import ERROR_TYPES, error_type
    from imgforge.observability.imgproxy_metrics import ImgproxyMetrics
    from imgforge.observability.log_writer import LogWriter
    from imgforge.observability.logs import (
        LevelFilter,
        bind_request,
        current_request,
        current_request_id,
        keeping_request_id,
        line_observer,
        make_observer,
        notice_line,
        one_line,
        parse_level_spec,
        public_namespace,
    )
    from imgforge.observability.metrics import Metrics, mark_dead, render_directory, share_metrics
    from imgforge.observability.prerender_metrics import PrerenderMetrics
    from imgforge.observability.request_observers import IRequestObserver, tell_begun, tell_ended
    from imgforge.observability.request_record import (
        CLIENT_GONE,
        PRERENDER,
        QueuedJob,
        RequestRecord,
        Stage,
        Step,
        WorkRecord,
        logged_target,
        shown_source,
        without_user_info,
    )
    from imgforge.observability.request_texts import asked_options, options_text
    from imgforge.observability.slow_requests import SlowRequests
    from imgforge.observability.state_metrics import StateMetrics
    from imgforge.observability.syslog import Syslog, SyslogReceiver

__all__ = [
    "CLIENT_GONE",
    "ERROR_TYPES",
    "PRERENDER",
    "Access",
    "AccessLog",
    "IRequestObserver",
    "ImgproxyMetrics",
    "LevelFilter",
    "LogWriter",
    "Metrics",
    "PrerenderMetrics",
    "QueuedJob",
    "RequestRecord",
    "SlowRequests",
    "Stage",
    "StateMetrics",
    "Step",
    "Syslog",
    "SyslogReceiver",
    "WorkRecord",
    "as_sent",
    "asked_options",
    "bind_request",
    "current_request",
    "current_request_id",
    "error_type",
    "keeping_request_id",
    "line_observer",
    "logged_target",
    "make_observer",
    "mark_dead",
    "notice_line",
    "one_line",
    "options_text",
    "parse_level_spec",
    "public_namespace",
    "render_directory",
    "share_metrics",
    "shown_source",
    "tell_begun",
    "tell_ended",
    "without_user_info",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".access_log": (
            "Access",
            "AccessLog",
            "as_sent",
        ),
        ".imgproxy_errors": ("ERROR_TYPES", "error_type"),
        ".imgproxy_metrics": ("ImgproxyMetrics",),
        ".log_writer": ("LogWriter",),
        ".request_texts": (
            "asked_options",
            "options_text",
        ),
        ".logs": (
            "LevelFilter",
            "bind_request",
            "current_request",
            "current_request_id",
            "keeping_request_id",
            "line_observer",
            "make_observer",
            "notice_line",
            "one_line",
            "parse_level_spec",
            "public_namespace",
        ),
        ".metrics": (
            "Metrics",
            "mark_dead",
            "render_directory",
            "share_metrics",
        ),
        ".prerender_metrics": ("PrerenderMetrics",),
        ".request_observers": (
            "IRequestObserver",
            "tell_begun",
            "tell_ended",
        ),
        ".request_record": (
            "CLIENT_GONE",
            "PRERENDER",
            "QueuedJob",
            "RequestRecord",
            "Stage",
            "Step",
            "WorkRecord",
            "logged_target",
            "shown_source",
            "without_user_info",
        ),
        ".slow_requests": ("SlowRequests",),
        ".state_metrics": ("StateMetrics",),
        ".syslog": ("Syslog", "SyslogReceiver"),
    },
)
