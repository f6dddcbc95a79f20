"""Settings by which an operator finds out what goes wrong: error reporters, slow requests, top tables."""

from typing import Annotated
from urllib.parse import urlsplit

from imgforge.config.fields import Bounds, Checks, Section, setting

__all__ = ["DiagnosingSettings"]


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _dsn(value: str) -> str:
    if value:
        key = urlsplit(value).username if _is_url(value) else ""
        if not key or not value.rpartition("/")[2].isdigit():
            raise ValueError("must be a DSN such as https://key@host/1")
    return value


def _endpoint(value: str) -> str:
    if not _is_url(value):
        raise ValueError("must be an http or https URL")
    return value.rstrip("/")


Endpoint = Annotated[str, Checks(_endpoint)]


class DiagnosingSettings(Section):
    """Error reporters, slow requests, top tables."""

    sentry_dsn: Annotated[str, Checks(_dsn)] = setting(
        "",
        description="DSN of the Sentry project that gets reports of errors; empty sends none. It needs pip install "
        "'twisted-imgforge[sentry]'.",
    )
    sentry_environment: str = setting("production", description="Name of the environment in reports to Sentry.")
    sentry_release: str = setting(
        "",
        description="Name of the release in reports to Sentry; empty is imgforge@ and the version of imgforge.",
    )
    bugsnag_key: str = setting(
        "", description="API key of the Bugsnag project that gets reports of errors; empty sends none."
    )
    bugsnag_stage: str = setting("production", description="Name of the release stage in reports to Bugsnag.")
    bugsnag_endpoint: Endpoint = setting(
        "https://notify.bugsnag.com", description="URL to which reports for Bugsnag are sent."
    )
    honeybadger_key: str = setting(
        "", description="API key of the Honeybadger project that gets reports of errors; empty sends none."
    )
    honeybadger_env: str = setting("production", description="Name of the environment in reports to Honeybadger.")
    honeybadger_endpoint: Endpoint = setting(
        "https://api.honeybadger.io", description="URL of the Honeybadger API to which reports are sent."
    )
    airbrake_project_id: int = setting(
        0,
        ge=0,
        description="Number of the Airbrake project that gets reports of errors, together with airbrake_project_key; "
        "0 sends none.",
    )
    airbrake_project_key: str = setting(
        "", description="Key of the Airbrake project that gets reports of errors; empty sends none."
    )
    airbrake_environment: str = setting("production", description="Name of the environment in reports to Airbrake.")
    airbrake_host: Endpoint = setting(
        "https://api.airbrake.io",
        description="URL of the Airbrake API to which reports are sent, or of an Errbit server.",
    )
    report_downloading_errors: bool = setting(
        True, description="Report errors of origins and stores: originals that are missing, late or broken off."
    )
    report_io_errors: bool = setting(
        False, description="Report clients that close their connection before their response is complete."
    )
    slow_request_seconds: Annotated[float, Bounds(ge=0, le=86400)] = setting(
        0,
        description="Seconds from which on a request is slow and gets a warning in the log, with its timings, source, "
        "options and sizes; 0 logs none.",
    )
    top_entries: int = setting(
        100,
        ge=0,
        le=500,
        description="Number of sources, origins, options and formats that /debug/top counts, each minute in each "
        "worker; the rarest beyond it are dropped, and 0 switches the tables off.",
    )
