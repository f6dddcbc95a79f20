"""The panels about requests: an overview, latency by stage, caches."""

from __future__ import annotations

from panel import FETCH, IMAGES, ORANGE, RED, Panel, mean, quantile, quantiles

__all__ = ["CACHES", "LATENCY", "OVERVIEW"]

_REQUESTS = f"sum(rate(@http_requests_duration_seconds_count{{{IMAGES}}}[rate]))"
_FAILED = (
    '(sum(rate(@status_codes_total{status=~"500|502|504"}[rate])) + sum(rate(@refusals_total{reason="time"}[rate]) '
    'or -rate(@refusals_total{reason="not-cached"}[rate])))'
)
_RESULTS = 'cache_type!="originals"'
_OPERATION = "image_operation"
_STAGES = (
    ("fetch of the original", FETCH, ""),
    ("wait for an image thread", f"{_OPERATION}_semaphore_wait_duration_seconds", "operation"),
    ("from slot to thread", f"{_OPERATION}_blocking_queue_duration_seconds", "operation"),
    ("on the thread", f"{_OPERATION}_execution_duration_seconds", "operation"),
)

OVERVIEW = (
    Panel(
        "Servers",
        "Servers that answer Prometheus, and those that it knows.",
        (
            ('sum(up{job=~"$job",instance=~"$instance"})', "up"),
            ('count(up{job=~"$job",instance=~"$instance"})', "known"),
        ),
        kind="stat",
        steps=((0, RED), (1, "green")),
        alerts=("ImgforgeDown", "ImgforgeAbsent"),
    ),
    Panel(
        "Requests",
        "Requests for images and /info a second, without health checks and scrapes.",
        ((_REQUESTS, "requests"),),
        unit="reqps",
        kind="stat",
    ),
    Panel(
        "Failed",
        "The part of requests that failed: 500, 502, 504 (not of only-if-cached), and images that took longer than "
        "IMGFORGE_TIMEOUT.",
        ((f"{_FAILED} / ({_REQUESTS} > 0)", "failed"),),
        unit="percentunit",
        kind="stat",
        steps=((0, "green"), (0.005, ORANGE), (0.03, RED)),
        alerts=("ImgforgeErrorsFast", "ImgforgeErrorsSlow"),
    ),
    Panel(
        "Slowest twentieth",
        "The 95th percentile of the time to answer, hits and misses together.",
        ((quantile(0.95, "http_requests_duration_seconds", labels=IMAGES), "95 %"),),
        unit="s",
        kind="stat",
        steps=((0, "green"), (1, ORANGE), (5, RED)),
        alerts=("ImgforgeLatencyP95", "ImgforgeLatencyP99"),
    ),
    Panel(
        "Hits",
        "The part of look-ups for results that found one; originals are not counted.",
        (
            (
                f"sum(rate(@cache_hits_total{{{_RESULTS}}}[rate])) / (sum(rate(@cache_hits_total{{{_RESULTS}}}[rate])) "
                f"+ sum(rate(@cache_misses_total{{{_RESULTS}}}[rate])) > 0)",
                "hits",
            ),
        ),
        unit="percentunit",
        kind="stat",
        alerts=("ImgforgeCacheHitRatioDropped",),
    ),
    Panel(
        "Saturation",
        "Images on a thread or in the queue for one, for each thread, of the busiest server. Above 1 there is a queue.",
        (("max(@images_in_progress / @image_operation_concurrency_limit)", "busiest"),),
        kind="stat",
        steps=((0, "green"), (1, ORANGE), (1.5, RED)),
        alerts=("ImgforgeSaturated",),
    ),
    Panel(
        "Responses by status",
        "All responses, health checks and scrapes too. 499 is a client that left before its answer.",
        (("sum by (status) (rate(@status_codes_total[rate]))", "{{status}}"),),
        unit="reqps",
        width=12,
        stacked=True,
    ),
    Panel(
        "Requests by route",
        "Images are /{*path}. Hits of the fast lane are counted here as well.",
        (("sum by (path) (rate(@http_requests_duration_seconds_count[rate]))", "{{path}}"),),
        unit="reqps",
        width=12,
        stacked=True,
    ),
)

LATENCY = (
    Panel(
        "Time to answer",
        "Percentiles of the time from a request's arrival to the end of its answer, for images and /info.",
        quantiles("http_requests_duration_seconds", IMAGES),
        unit="s",
        width=12,
        steps=((0, "green"), (1, ORANGE), (5, RED)),
        alerts=("ImgforgeLatencyP95", "ImgforgeLatencyP99"),
    ),
    Panel(
        "Times to answer",
        "How many requests took how long: hits are the band at the bottom, misses those above it.",
        ((f"sum by (le) (rate(@http_requests_duration_seconds_bucket{{{IMAGES}}}[rate]))", "{{le}}"),),
        unit="s",
        kind="heatmap",
        width=12,
    ),
    Panel(
        "Stages, 95th percentile",
        "Where a miss spends its time. Waiting means too few threads (IMGFORGE_WORKERS), fetching a slow origin.",
        tuple((quantile(0.95, name, by), f"{{{{{by}}}}}: {stage}" if by else stage) for stage, name, by in _STAGES),
        unit="s",
    ),
    Panel(
        "Stages, mean",
        "The same as means, which add up to the time of a miss.",
        tuple((mean(name, by), f"{{{{{by}}}}}: {stage}" if by else stage) for stage, name, by in _STAGES),
        unit="s",
    ),
    Panel(
        "Images by format, 95th percentile",
        "The time to make an image, its wait for a thread included. AVIF and JPEG XL take most (IMGFORGE_AVIF_SPEED).",
        ((quantile(0.95, "image_processing_duration_seconds", "format") + " > 0", "{{format}}"),),
        unit="s",
    ),
    Panel(
        "Images made",
        "Images made a second, by format. A miss makes one, and so does a stale result that its origin has changed.",
        (("sum by (format) (rate(@processed_images_total[rate])) > 0", "{{format}}"),),
        unit="ops",
        width=24,
        stacked=True,
    ),
)

CACHES = (
    Panel(
        "Hit ratio by cache",
        "The part of look-ups that found an entry: of results, and of originals (IMGFORGE_SOURCE_CACHE_TYPE).",
        (
            (
                "sum by (cache_type) (rate(@cache_hits_total[rate])) "
                "/ (sum by (cache_type) (rate(@cache_hits_total[rate])) "
                "+ sum by (cache_type) (rate(@cache_misses_total[rate])) > 0)",
                "{{cache_type}}",
            ),
        ),
        unit="percentunit",
        most=1,
        alerts=("ImgforgeCacheHitRatioDropped",),
    ),
    Panel(
        "Hits by tier",
        "Memory, disk, or the cache that the nodes share. Many disk hits: raise IMGFORGE_CACHE_MEMORY_MAX_BYTES.",
        (
            ("sum by (cache_type, tier) (rate(@cache_tier_hits_total[rate]))", "{{cache_type}}: {{tier}}"),
            ("sum by (cache_type) (rate(@cache_misses_total[rate]))", "{{cache_type}}: miss"),
        ),
        unit="ops",
        stacked=True,
    ),
    Panel(
        "Faults",
        "Entries lost, by tier: corrupt, full, io, slow, too_large; skipped are those that a shared cache did not get.",
        (("sum by (cache_type, fault) (rate(@cache_faults_total[rate]))", "{{cache_type}}: {{fault}}"),),
        unit="ops",
        alerts=("ImgforgeDiskCacheFaults", "ImgforgeSharedCacheFaults"),
    ),
    Panel(
        "Disk",
        "Bytes of the disk tiers at the last sweep, and their limits. A full cache is as it should be: old entries go.",
        (
            ("sum by (cache_type) (@cache_disk_bytes)", "{{cache_type}}"),
            ("sum by (cache_type) (@cache_disk_limit_bytes)", "{{cache_type}}: limit"),
        ),
        unit="bytes",
    ),
    Panel(
        "Memory",
        "Bytes of the memory tiers of all processes.",
        (("sum by (cache_type) (@cache_memory_bytes)", "{{cache_type}}"),),
        unit="bytes",
    ),
    Panel(
        "Entries",
        "Entries of the tiers.",
        (
            ("sum by (cache_type) (@cache_disk_entries)", "{{cache_type}}: disk"),
            ("sum by (cache_type) (@cache_memory_entries)", "{{cache_type}}: memory"),
        ),
    ),
)
