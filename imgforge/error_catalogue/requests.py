"""Errors of a request besides its URL: who may send it, how often, in which form; and of load."""

from __future__ import annotations

from imgforge.error_catalogue.entry import Entry
from imgforge.errors import (
    BadToken,
    ClientRefused,
    ImgforgeError,
    MethodNotAllowed,
    NotCached,
    NotFound,
    Overloaded,
    RateExceeded,
    RequestTimeout,
    TooManyClients,
    Unreadable,
)

__all__ = ["REQUESTS"]

REQUESTS = (
    Entry(
        "bearer-token",
        "the Authorization header",
        (BadToken,),
        ("the Authorization header does not have this server's bearer token",),
        "The endpoint wants `Authorization: Bearer SECRET`, and the request has none or another one.",
        "Send the endpoint's secret: `IMGFORGE_SECRET` for images, /info and /metrics, `IMGFORGE_PURGE_SECRET` for "
        "purges, `IMGFORGE_RENDER_SECRET` for /render and /events; for /debug/top `IMGFORGE_SECRET` or, where that is "
        "not set, `IMGFORGE_PURGE_SECRET`. Proxies must pass the header on.",
        ("secret", "purge_secret", "render_secret"),
    ),
    Entry(
        "address-refused",
        "the client",
        (ClientRefused,),
        ("this server does not serve your address",),
        "The client's address is not in the list; behind a proxy it is the proxy's unless the server trusts that, and "
        "it is unknown where X-Forwarded-For and Forwarded of a trusted one differ.",
        "Add the network, or name the proxy as a trusted one, and have it remove the header that it does not write.",
        ("allowed_clients", "trusted_proxies"),
    ),
    Entry(
        "no-key",
        "the server",
        (ClientRefused,),
        (
            "without a key this server answers only to localhost and 127.0.0.1: set IMGFORGE_KEY and IMGFORGE_SALT, "
            "or IMGFORGE_ALLOW_UNSIGNED=true to serve any URL to everybody",
            "a proxy has forwarded this request, and without a key this server serves its own machine only: "
            "set IMGFORGE_KEY and IMGFORGE_SALT, or IMGFORGE_ALLOW_UNSIGNED=true to serve any URL to everybody",
        ),
        "The server is being tried out without a key, and would be open to everybody.",
        "Set a key and a salt (`imgforge keygen`) before others reach it.",
        ("key", "salt", "allow_unsigned"),
    ),
    Entry(
        "rate-limit",
        "the client",
        (RateExceeded,),
        (
            "this server has had its number of requests for this minute",
            "your address has had its number of requests for this minute",
        ),
        "More images were to be made in a minute than all clients, or this one, may ask for; hits do not count.",
        "Wait as long as Retry-After says, warm the cache, or raise the limit.",
        ("rate_limit_per_minute", "rate_limit_per_client_per_minute"),
    ),
    Entry(
        "queue-full",
        "the server",
        (Overloaded,),
        (
            "too many requests in the queue",
            "too many requests wait for the source's host",
            "the queue is too long for the request to be answered in time",
            "too many requests to the queue at once",
        ),
        "More images are to be made at once than the queue holds, or than could be done within the timeout.",
        "Add processors or nodes; a longer queue only helps against short bursts. The metrics show the queue.",
        ("requests_queue_size", "workers", "processes", "timeout"),
    ),
    Entry(
        "too-many-clients",
        "the server",
        (TooManyClients,),
        ("this server has too many clients at the moment",),
        "More connections are open than the server takes; this one only answers health checks.",
        "Raise the limit together with that of file descriptors, or shorten the time for idle connections.",
        ("max_clients", "keep_alive_timeout"),
    ),
    Entry(
        "timeout",
        "the image",
        (RequestTimeout,),
        ("the request took longer than {} seconds", "the work was cancelled"),
        "Fetching and processing took too long together; libvips was stopped.",
        "Server-Timing of a request that succeeds, and the log, show which part is slow; allow smaller sources or "
        "results, or more time.",
        ("timeout", "download_timeout", "max_src_resolution", "max_result_dimension"),
    ),
    Entry(
        "cancelled",
        "the server",
        (ImgforgeError,),
        ("the request was cancelled",),
        "The server stopped while the request was being answered.",
        "Give it more time to stop.",
        ("graceful_stop_timeout",),
    ),
    Entry(
        "internal-error",
        "the server",
        (ImgforgeError,),
        ("internal error", "the URL cannot be explained: {}: {}"),
        "A fault of imgforge: the log has its traceback.",
        "Report it, with the traceback and the URL.",
    ),
    Entry(
        "not-cached",
        "the cache",
        (NotCached,),
        ("the result is not in the cache", "the result is in the cache, but it is stale"),
        "The request says `Cache-Control: only-if-cached`, so that nothing is made for it.",
        "Ask without that.",
        ("cache_type", "cache_ttl", "cache_stale_while_revalidate"),
    ),
    Entry(
        "no-endpoint",
        "the path",
        (NotFound,),
        (
            "there is nothing here",
            "this listener has /metrics only",
            "this listener has no /metrics",
            "this server has no icon",
        ),
        "The listener has no such endpoint, or its feature is off.",
        "/metrics has a listener of its own where one is set; the endpoints of the queue need a queue.",
        ("prometheus_bind", "queue_path", "queue_url"),
    ),
    Entry(
        "method",
        "the method",
        (MethodNotAllowed,),
        ("the method must be {} here",),
        "The endpoint exists, but not for this method.",
        "Use one that the message, and the Allow header, name.",
    ),
    Entry(
        "malformed-request",
        "the request",
        (Unreadable,),
        (
            "the request is malformed (RFC 9112)",
            "a header is folded over several lines",
            "a request must have exactly one Host header",
            "the Host header is not a host",
            "the Content-Length is not a length",
            "the request has more than one {} header",
            "HTTP/1.0 has no transfer codings",
            "the only transfer coding that is supported is chunked",
        ),
        "The request is no HTTP/1.1, or one that a proxy may read otherwise (request smuggling).",
        "See which client or proxy sends it: the access log has its address.",
        status=(400, 501),
    ),
    Entry(
        "request-too-long",
        "the request",
        (Unreadable,),
        (
            "the request's target is too long",
            "a header of the request is too long",
            "the request's headers are too long together",
            "the request has too many headers",
        ),
        "The target or the headers, often cookies, are longer than any that an image needs.",
        "Serve images from a host of their own, which gets no cookies.",
        status=(414, 431),
    ),
    Entry(
        "request-too-slow",
        "the client",
        (Unreadable,),
        ("the request took too long to arrive",),
        "The client has sent the beginning of a request, and not the rest in time.",
        "Raise the limit for slow networks; where many such connections come at once, it is an attack.",
        ("read_request_timeout",),
        status=(408,),
    ),
)
