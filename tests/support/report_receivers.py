"""Receivers of error reports on loopback: each speaks the ingest endpoint of one service, and checks its key."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

from tests.support.loopback_server import LoopbackServer, QuietHandler

__all__ = ["Posted", "ReportReceiver"]

KEY = "0123456789abcdef"


@dataclass(frozen=True)
class Posted:
    """A report as it came: the service that its path belongs to, its headers in lower case, and its JSON."""

    service: str
    headers: dict[str, str]
    body: Any
    raw: str


def _sentry(body: bytes) -> Any:
    """The event of an envelope: a line with its headers, then pairs of a header line and a payload."""
    lines = body.split(b"\n")
    header = json.loads(lines[1])
    assert header["type"] == "event", header
    return json.loads(lines[2])


# By the path that each service documents: its name, the header with the key, its value, and the status of an answer.
_SERVICES = {
    "/bugsnag/": ("bugsnag", "bugsnag-api-key", KEY, 202),
    "/honeybadger/v1/notices": ("honeybadger", "x-api-key", KEY, 201),
    "/airbrake/api/v3/projects/7/notices": ("airbrake", "authorization", f"Bearer {KEY}", 201),
    "/sentry/api/3/envelope/": ("sentry", "x-sentry-auth", f"sentry_key={KEY}", 200),
}


@dataclass
class ReportReceiver(LoopbackServer):
    """All four services in one server; what came is in `reports`, and what has a wrong path or key in `refused`."""

    status: int = 0  # answered in place of what the service answers

    def __post_init__(self) -> None:
        self.reports: list[Posted] = []
        self.refused: list[str] = []
        receiver = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.wait()
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                name, header, key, status = _SERVICES.get(self.path, ("", "host", "", 404))
                if not name or key not in headers.get(header, ""):
                    status = 404 if not name else 401
                    receiver.refused.append(self.path)
                else:
                    event = _sentry(body) if name == "sentry" else json.loads(body)
                    receiver.reports.append(Posted(name, headers, event, body.decode()))
                self.send_response(receiver.status or status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        super().__init__(Handler)

    def settings(self, *services: str) -> dict[str, str]:
        """The settings by which a server reports to *services* here."""
        base = f"http://{self.host}"
        every = {
            "sentry": {"SENTRY_DSN": f"http://{KEY}@{self.host}/sentry/3"},
            "bugsnag": {"BUGSNAG_KEY": KEY, "BUGSNAG_ENDPOINT": f"{base}/bugsnag"},
            "honeybadger": {"HONEYBADGER_KEY": KEY, "HONEYBADGER_ENDPOINT": f"{base}/honeybadger"},
            "airbrake": {
                "AIRBRAKE_PROJECT_ID": "7",
                "AIRBRAKE_PROJECT_KEY": KEY,
                "AIRBRAKE_HOST": f"{base}/airbrake",
            },
        }
        return {name: value for service in services or every for name, value in every[service].items()}

    def of(self, service: str) -> list[Posted]:
        """What *service* was sent."""
        return [posted for posted in self.reports if posted.service == service]
