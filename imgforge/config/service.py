"""Settings of the service: listeners, processes, time limits, load."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from imgforge.config.value_types import Bind, Path

__all__ = ["ServiceSettings"]

Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class ServiceSettings(BaseModel):
    """How the server runs."""

    bind: Bind = Field(
        "",
        description="Addresses to listen on, separated by commas: host:port, a port, /path of a Unix socket, or a "
        "Twisted endpoint string. Empty is 0.0.0.0:3000 where there are keys or allow_unsigned is on, "
        "else 127.0.0.1:3000.",
    )
    so_reuseport: bool = Field(
        False,
        description="Let other servers that set it too listen on the same TCP ports; the kernel spreads new "
        "connections over them.",
    )
    prometheus_bind: Bind = Field(
        "",
        description="Addresses of a separate listener for /metrics, written as those of bind; the other listeners then "
        "have none. Empty opens none.",
    )
    prometheus_namespace: str = Field(
        "",
        pattern=r"^([a-zA-Z_:][a-zA-Z0-9_:]*)?$",
        description="Prefix of all metric names, joined to them by an underscore; empty adds none.",
    )
    processes: int = Field(
        0,
        ge=0,
        le=1024,
        description="Number of worker processes; 0 starts one for each usable CPU, and 1 does all work in twistd's "
        "own process.",
    )
    workers: int = Field(
        0,
        ge=0,
        le=4096,
        description="Number of images that are processed at the same time, over all processes; 0 is two for each "
        "usable CPU.",
    )
    requests_queue_size: int = Field(
        0,
        ge=0,
        description="Number of requests that may wait for a worker, over all processes, and as many again for each "
        "origin; a request beyond it gets 429 at once, and 0 is no limit.",
    )
    timeout: Seconds = Field(
        30, description="Maximum seconds from a request for an image to its result; the client then gets 408."
    )
    sandbox: bool = Field(
        False, description="Deny the processes that decode images core files and new privileges (Linux only)."
    )
    quarantine_seconds: float = Field(
        600,
        ge=0,
        le=86400 * 365,
        allow_inf_nan=False,
        description="Seconds for which a source that crashed a worker process is refused with 422; 0 never refuses "
        "one.",
    )
    rate_limit_per_minute: int = Field(
        0,
        ge=0,
        description="Number of images (cached ones aside) and of /info answers that all clients together may ask for "
        "in a minute; a request beyond it gets 429, and 0 is no limit.",
    )
    rate_limit_per_client_per_minute: int = Field(
        0,
        ge=0,
        description="Number of images (cached ones aside) and of /info answers that one client, an IPv4 address or an"
        " IPv6 network of 64 bits, may ask for in a minute; a request beyond it gets 429, and 0 is no "
        "limit.",
    )
    max_clients: int = Field(
        2048,
        ge=0,
        description="Number of connections that may be open at once, over all processes; on more, only health checks "
        "are answered and everything else gets 503, and 0 is no limit.",
    )
    read_request_timeout: Seconds = Field(
        10, description="Maximum seconds in which a request must have arrived; its connection is then closed."
    )
    write_response_timeout: Seconds = Field(
        30,
        description="Maximum seconds in which a client must have read what waits to be sent to it; its connection is "
        "then closed.",
    )
    keep_alive_timeout: float = Field(
        10,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="Seconds for which an idle connection of a client stays open; 0 closes it after each answer.",
    )
    graceful_stop_timeout: float = Field(
        0,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="Maximum seconds that requests under way may take after SIGTERM; they are then aborted, and 0 is "
        "twice the timeout.",
    )
    shutdown_delay: float = Field(
        0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds between SIGTERM and the stop in which /status answers 503 and requests are still taken; "
        "0 stops at once.",
    )
    path_prefix: Path = Field(
        "",
        description="Prefix of all paths, such as /images, beginning with a slash; paths without it are answered as "
        "well. Empty is none.",
    )
    health_check_path: Path = Field(
        "",
        description="One more path of the health check beside /status and /health, beginning with a slash; empty is "
        "none.",
    )
    health_check_message: str = Field("imgforge is running", description="The text that the health check answers.")
