"""Settings of the service: listeners, processes, time limits, load."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from imgforge.config.value_types import Bind, Path

__all__ = ["ServiceSettings"]

Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class ServiceSettings(BaseModel):
    """Server: listeners, processes, time limits, load."""

    bind: Bind = Field(
        "",
        description="Addresses to listen on, separated by commas: host:port, a port, /path of a Unix socket, or a "
        "Twisted endpoint string. Empty is 0.0.0.0:3000 where there are keys or allow_unsigned is on, "
        "else 127.0.0.1:3000.",
    )
    so_reuseport: bool = Field(
        False,
        description="Share the TCP ports with other servers that set it too; the kernel spreads new connections over "
        "them.",
    )
    epoll_group: bool = Field(
        True,
        description="Read from the clients' connections of a listener through one epoll, which answers cached images "
        "faster; off, the reactor reads from each connection, and answers are the same.",
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
        description="Maximum number of images in processing at once, over all processes; 0 is two for each usable CPU.",
    )
    requests_queue_size: int = Field(
        0,
        ge=0,
        description="Maximum number of requests that wait for a worker, over all processes, and as many again for "
        "each origin; one more gets 429 at once, and 0 is no limit.",
    )
    timeout: Seconds = Field(
        30, description="Maximum seconds from a request for an image to its result; the client then gets 408."
    )
    sandbox: bool = Field(
        False, description="Deny core files and new privileges to the processes that decode images (Linux only)."
    )
    quarantine_seconds: float = Field(
        600,
        ge=0,
        le=86400 * 365,
        allow_inf_nan=False,
        description="How long, in seconds, a source that crashed a worker process is quarantined: clients get 422; 0 "
        "never.",
    )
    rate_limit_per_minute: int = Field(
        0,
        ge=0,
        description="Maximum number of requests of all clients together in a minute for images that are not cached and "
        "for /info; the client gets 429 beyond it, and 0 is no limit.",
    )
    rate_limit_per_client_per_minute: int = Field(
        0,
        ge=0,
        description="Maximum number of requests of one client (an IPv4 address or an IPv6 network of 64 bits) in a "
        "minute for images that are not cached and for /info; the client gets 429 beyond it, and 0 is no limit.",
    )
    max_clients: int = Field(
        2048,
        ge=0,
        description="Maximum number of open connections, over all processes; beyond it only health checks are "
        "answered and everything else gets 503, and 0 is no limit.",
    )
    read_request_timeout: Seconds = Field(
        10,
        description="Maximum seconds from the first byte of a request to its last; the client then gets 408, "
        "and its connection is closed.",
    )
    write_response_timeout: Seconds = Field(
        30,
        description="Maximum seconds in which a client must read what is being sent to it; its connection is then "
        "closed.",
    )
    keep_alive_timeout: float = Field(
        10,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="Seconds for which an idle connection of a client stays open; 0 closes it after each response.",
    )
    graceful_stop_timeout: float = Field(
        0,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="Maximum seconds for requests under way to finish after SIGTERM; they are then aborted, and 0 is "
        "twice the timeout.",
    )
    shutdown_delay: float = Field(
        0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds after SIGTERM for which requests are still served while /status answers 503, so that "
        "load balancers look elsewhere; 0 stops at once.",
    )
    path_prefix: Path = Field(
        "",
        description="Prefix of all paths, such as /images, beginning with a slash; paths without it work as well. "
        "Empty is none.",
    )
    health_check_path: Path = Field(
        "",
        description="Path of one more health check beside /status and /health, beginning with a slash; empty is none.",
    )
    health_check_message: str = Field("imgforge is running", description="The text of the health check's response.")
