"""Settings of the service: listeners, processes, time limits, load."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from imgforge.config._types import Bind, Path

__all__ = ["ServiceSettings"]

Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class ServiceSettings(BaseModel):
    """How the server runs."""

    bind: Bind = Field(
        "",
        description="where to listen: host:port, a port, /path, or a Twisted endpoint; several by commas. "
        "Empty: 0.0.0.0:3000 with keys or allow_unsigned, else 127.0.0.1:3000",
    )
    so_reuseport: bool = Field(
        False,
        description="other servers may listen on the same ports, if they want that too: the kernel shares clients",
    )
    prometheus_bind: Bind = Field(
        "", description="a listener of its own for /metrics, in the same notations; the others have none then"
    )
    prometheus_namespace: str = Field(
        "", pattern=r"^([a-zA-Z_:][a-zA-Z0-9_:]*)?$", description="stands before the names of metrics, with a _ between"
    )
    processes: int = Field(
        0, ge=0, le=1024, description="worker processes; 0 is one per usable CPU, 1 runs all in twistd's own process"
    )
    workers: int = Field(
        0, ge=0, le=4096, description="images processed at once, over all processes; 0 is two per usable CPU"
    )
    requests_queue_size: int = Field(
        0,
        ge=0,
        description="requests that may wait for a worker, over all processes, "
        "and as many again for each origin; beyond it 429 at once; 0 is unlimited",
    )
    timeout: Seconds = Field(30, description="seconds for one image, from request to result; then 408")
    sandbox: bool = Field(
        False, description="processes that decode images leave no core files and can never gain privileges (Linux)"
    )
    quarantine_seconds: float = Field(
        600,
        ge=0,
        le=86400 * 365,
        allow_inf_nan=False,
        description="seconds that a source is refused for of which a worker process died; 0 is never",
    )
    rate_limit_per_minute: int = Field(
        0,
        ge=0,
        description="images (but for cached ones) and infos a minute, for all clients together; more get 429; "
        "0 is unlimited",
    )
    rate_limit_per_client_per_minute: int = Field(
        0, ge=0, description="the same for each client, an IPv4 address or an IPv6 network of 64 bits; 0 is unlimited"
    )
    max_clients: int = Field(
        2048,
        ge=0,
        description="connections at once, over all processes; on more only health checks are answered, the rest get "
        "503; 0 is unlimited",
    )
    read_request_timeout: Seconds = Field(10, description="seconds in which a request must have arrived")
    write_response_timeout: Seconds = Field(
        30, description="seconds in which a client must have read what is written to it and waits"
    )
    keep_alive_timeout: float = Field(
        10,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="seconds that an idle connection stays open; 0 closes it after each answer",
    )
    graceful_stop_timeout: float = Field(
        0,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="seconds that requests under way may take after SIGTERM; 0 is twice the timeout",
    )
    shutdown_delay: float = Field(
        0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds that /status answers 503 while requests are still taken, before the stop",
    )
    path_prefix: Path = Field(
        "", description="a prefix of all paths, such as /images; they are answered without it as well"
    )
    health_check_path: Path = Field("", description="one more path of the health check")
    health_check_message: str = Field("imgforge is running", description="what the health check answers")
