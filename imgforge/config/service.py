"""Settings of the service: listeners, processes, time limits, load."""

from typing import Annotated

from imgforge.config.fields import Bounds, Section, setting
from imgforge.config.value_types import Bind, Path

__all__ = ["ServiceSettings"]

Seconds = Annotated[float, Bounds(gt=0, le=86400)]


class ServiceSettings(Section):
    """Server: listeners, processes, time limits, load."""

    bind: Bind = setting(
        "",
        description="Addresses to listen on, separated by commas: host:port, a port, /path of a Unix socket, or a "
        "Twisted endpoint string. Empty is 0.0.0.0:3000 where there are keys or allow_unsigned is on, "
        "else 127.0.0.1:3000.",
    )
    so_reuseport: bool = setting(
        False,
        description="Share the TCP ports with other servers that set it too; the kernel spreads new connections over "
        "them.",
    )
    epoll_group: bool = setting(
        True,
        description="Read from the clients' connections of a listener through one epoll, which answers cached images "
        "faster; off, the reactor reads from each connection, and answers are the same.",
    )
    prometheus_bind: Bind = setting(
        "",
        description="Addresses of a separate listener for /metrics, written as those of bind; the other listeners then "
        "have none. Empty opens none.",
    )
    prometheus_namespace: str = setting(
        "",
        pattern=r"^([a-zA-Z_:][a-zA-Z0-9_:]*)?$",
        description="Prefix of all metric names, joined to them by an underscore; empty adds none.",
    )
    processes: int = setting(
        0,
        ge=0,
        le=1024,
        description="Number of worker processes; 0 starts one for each usable CPU, and 1 does all work in twistd's "
        "own process.",
    )
    workers: int = setting(
        0,
        ge=0,
        le=4096,
        description="Maximum number of images in processing at once, over all processes; 0 is two for each usable CPU.",
    )
    requests_queue_size: int = setting(
        0,
        ge=0,
        description="Maximum number of requests that wait for a worker, over all processes, and as many again for "
        "each origin; one more gets 429 at once, and 0 is no limit.",
    )
    timeout: float = setting(
        30,
        gt=0,
        le=600,  # half of `imgforge.cache.purge.FINAL_AFTER`: purges are remembered while a request may be under way
        description="Maximum seconds from a request for an image to its result; the client then gets 408.",
    )
    sandbox: bool = setting(
        False, description="Deny core files and new privileges to the processes that decode images (Linux only)."
    )
    quarantine_seconds: float = setting(
        600,
        ge=0,
        le=86400 * 365,
        description="How long, in seconds, a source that crashed a worker process is quarantined: clients get 422; 0 "
        "never.",
    )
    rate_limit_per_minute: int = setting(
        0,
        ge=0,
        description="Maximum number of requests of all clients together in a minute for images that are not cached and "
        "for /info; the client gets 429 beyond it, and 0 is no limit.",
    )
    rate_limit_per_client_per_minute: int = setting(
        0,
        ge=0,
        description="Maximum number of requests of one client (an IPv4 address or an IPv6 network of 64 bits) in a "
        "minute for images that are not cached and for /info; the client gets 429 beyond it, and 0 is no limit.",
    )
    max_clients: int = setting(
        2048,
        ge=0,
        description="Maximum number of open connections, over all processes; beyond it only health checks are "
        "answered and everything else gets 503, and 0 is no limit.",
    )
    read_request_timeout: Seconds = setting(
        10,
        description="Maximum seconds from the first byte of a request to its last; the client then gets 408, "
        "and its connection is closed.",
    )
    write_response_timeout: Seconds = setting(
        30,
        description="Maximum seconds in which a client must read what is being sent to it; its connection is then "
        "closed.",
    )
    keep_alive_timeout: float = setting(
        10,
        ge=0,
        le=86400,
        description="Seconds for which an idle connection of a client stays open; 0 closes it after each response.",
    )
    graceful_stop_timeout: float = setting(
        0,
        ge=0,
        le=86400,
        description="Maximum seconds for requests under way to finish after SIGTERM; they are then aborted, and 0 is "
        "twice the timeout.",
    )
    shutdown_delay: float = setting(
        0,
        ge=0,
        le=3600,
        description="Seconds after SIGTERM for which requests are still served while /status answers 503, so that "
        "load balancers look elsewhere; 0 stops at once.",
    )
    path_prefix: Path = setting(
        "",
        description="Prefix of all paths, such as /images, beginning with a slash; paths without it work as well. "
        "Empty is none.",
    )
    health_check_path: Path = setting(
        "",
        description="Path of one more health check beside /status and /health, beginning with a slash; empty is none.",
    )
    health_check_message: str = setting("imgforge is running", description="The text of the health check's response.")
