"""A report as each service wants it.

Bugsnag, Honeybadger and Airbrake take one JSON object over HTTP: see their documents of the error reporting API
(payload version 5), of the notices API (v1) and of the create notice API (v3). To Sentry its own library sends.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from imgforge import __version__
from imgforge.service.telemetry.reports.error_report import ErrorReport, Frame

__all__ = ["Airbrake", "Bugsnag", "ErrorService", "Honeybadger", "Payload", "sentry_event"]

_NOTIFIER = {"name": "imgforge", "version": __version__, "url": ""}  # the services want all three


@dataclass(frozen=True, slots=True)
class Payload:
    """What is posted: the headers have the key of the project."""

    url: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class ErrorService(Protocol):
    """A service and the operator's project there."""

    @property
    def name(self) -> str:
        """The service."""

    def payload(self, report: ErrorReport) -> Payload:
        """What is posted for *report*."""


def _payload(url: str, headers: Mapping[str, str], body: object) -> Payload:
    common = {"content-type": "application/json", "accept": "application/json", "user-agent": f"imgforge/{__version__}"}
    return Payload(url, {**common, **headers}, json.dumps(body).encode("ascii"))


def _rfc3339(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _innermost_first(report: ErrorReport) -> list[Frame]:
    return list(reversed(report.frames))


@dataclass(frozen=True, slots=True)
class Bugsnag:
    """A project of Bugsnag."""

    key: str
    stage: str
    endpoint: str
    name: str = "bugsnag"

    def payload(self, report: ErrorReport) -> Payload:
        """The metadata is the tab `Processing Context`, as imgproxy's."""
        stacktrace = [
            {"file": frame.file, "lineNumber": frame.line, "method": frame.function, "inProject": frame.ours}
            for frame in _innermost_first(report)
        ]
        exceptions = [{"errorClass": report.kind, "message": report.message, "stacktrace": stacktrace}]
        exceptions += [{"errorClass": kind, "message": message, "stacktrace": []} for kind, message in report.causes]
        event = {
            "exceptions": exceptions,
            "severity": "warning",
            "unhandled": False,
            "severityReason": {"type": "handledException"},
            "request": {"httpMethod": report.method, "url": report.url, "headers": dict(report.headers)},
            "app": {"version": __version__, "releaseStage": self.stage, "type": "imgforge"},
            "device": {"hostname": socket.gethostname(), "time": _rfc3339(report.at)},
            "metaData": {"Processing Context": report.metadata},
        }
        headers = {
            "bugsnag-api-key": self.key,
            "bugsnag-payload-version": "5",
            "bugsnag-sent-at": _rfc3339(time.time()),
        }
        body = {"apiKey": self.key, "payloadVersion": "5", "notifier": _NOTIFIER, "events": [event]}
        return _payload(self.endpoint + "/", headers, body)


@dataclass(frozen=True, slots=True)
class Honeybadger:
    """A project of Honeybadger."""

    key: str
    environment: str
    endpoint: str
    name: str = "honeybadger"

    def payload(self, report: ErrorReport) -> Payload:
        """Headers and metadata are CGI variables, as imgproxy's: HTTP_ACCEPT, REQUEST_ID, SOURCE_IMAGE_URL."""
        variables: dict[str, Any] = {f"HTTP_{_variable(name)}": value for name, value in report.headers.items()}
        variables |= {_variable(name): value for name, value in report.metadata.items()}
        backtrace = [
            {"file": frame.file, "number": str(frame.line), "method": frame.function}
            for frame in _innermost_first(report)
        ]
        body = {
            "notifier": _NOTIFIER,
            "error": {
                "class": report.kind,
                "message": report.message,
                "backtrace": backtrace,
                "causes": [{"class": kind, "message": message, "backtrace": []} for kind, message in report.causes],
            },
            "request": {"url": report.url, "cgi_data": variables, "context": report.metadata},
            "server": {
                "environment_name": self.environment,
                "hostname": socket.gethostname(),
                "pid": os.getpid(),
                "time": _rfc3339(report.at),
                "revision": __version__,
            },
        }
        return _payload(f"{self.endpoint}/v1/notices", {"x-api-key": self.key}, body)


def _variable(name: str) -> str:
    return name.upper().replace("-", "_").replace(" ", "_")


@dataclass(frozen=True, slots=True)
class Airbrake:
    """A project of Airbrake, or of an Errbit server."""

    project: int
    key: str
    environment: str
    host: str
    name: str = "airbrake"

    def payload(self, report: ErrorReport) -> Payload:
        """The metadata is part of the context, its names in lower case with hyphens, as imgproxy's."""
        backtrace = [
            {"file": frame.file, "line": frame.line, "function": frame.function} for frame in _innermost_first(report)
        ]
        errors = [{"type": report.kind, "message": report.message, "backtrace": backtrace}]
        errors += [{"type": kind, "message": message, "backtrace": []} for kind, message in report.causes]
        context = {
            "notifier": _NOTIFIER,
            "environment": self.environment,
            "severity": "error",
            "language": "python",
            "version": __version__,
            "hostname": socket.gethostname(),
            "url": report.url,
            "httpMethod": report.method,
            "userAgent": report.headers.get("user-agent", ""),
        }
        context |= {name.lower().replace(" ", "-"): value for name, value in report.metadata.items()}
        body = {"errors": errors, "context": context, "environment": dict(report.headers), "session": {}, "params": {}}
        url = f"{self.host}/api/v3/projects/{self.project}/notices"
        return _payload(url, {"authorization": f"Bearer {self.key}"}, body)


def sentry_event(report: ErrorReport) -> dict[str, Any]:
    """The event for Sentry's library; its exceptions have the outermost one last."""
    frames = [
        {
            "filename": frame.file,
            "abs_path": frame.file,
            "function": frame.function,
            "lineno": frame.line,
            "in_app": frame.ours,
        }
        for frame in report.frames
    ]
    values: list[dict[str, Any]] = [{"type": kind, "value": message} for kind, message in reversed(report.causes)]
    values.append({"type": report.kind, "value": report.message, "stacktrace": {"frames": frames}})
    return {
        "level": "error",
        "platform": "python",
        "timestamp": report.at,
        "exception": {"values": values},
        "request": {"method": report.method, "url": report.url, "headers": dict(report.headers)},
        "contexts": {"Processing context": dict(report.metadata)},
    }
