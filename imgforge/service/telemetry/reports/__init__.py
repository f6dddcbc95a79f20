"""Reports of errors: which errors are reported, what a report has, and how each service wants it."""

from imgforge.service.telemetry.reports.error_report import ErrorReport, Frame, Scrubber, report_of
from imgforge.service.telemetry.reports.payloads import (
    Airbrake,
    Bugsnag,
    ErrorService,
    Honeybadger,
    Payload,
    sentry_event,
)
from imgforge.service.telemetry.reports.report_metrics import ReportMetrics
from imgforge.service.telemetry.reports.report_queue import ReportQueue
from imgforge.service.telemetry.reports.report_rate import ReportRate
from imgforge.service.telemetry.reports.reportable import ClientGone, reported_error

__all__ = [
    "Airbrake",
    "Bugsnag",
    "ClientGone",
    "ErrorReport",
    "ErrorService",
    "Frame",
    "Honeybadger",
    "Payload",
    "ReportMetrics",
    "ReportQueue",
    "ReportRate",
    "Scrubber",
    "report_of",
    "reported_error",
    "sentry_event",
]
