"""The panels about servers and what is around them: origins, saturation, errors and processes, pre-rendering."""

from __future__ import annotations

from panel import FETCH, ORANGE, RED, Panel, quantiles

__all__ = ["ERRORS", "ORIGINS", "PRERENDERING", "SATURATION"]

ORIGINS = (
    Panel(
        "Originals fetched",
        "Fetches that ended, by outcome. A missing original (404) is an error here as well.",
        (("sum by (status) (rate(@source_images_fetched_total[rate]))", "{{status}}"),),
        unit="ops",
        stacked=True,
    ),
    Panel(
        "Time to fetch",
        "Percentiles of the time from the look-up of the name to the last byte; IMGFORGE_DOWNLOAD_TIMEOUT ends it.",
        quantiles(FETCH),
        unit="s",
    ),
    Panel(
        "Failures of origins",
        "502: unreachable or broken; 504: too slow (not of only-if-cached); circuit: beyond "
        "IMGFORGE_SOURCE_BREAKER_FAILURES.",
        (
            (
                'sum by (status) (rate(@status_codes_total{status=~"502|504"}[rate]) or -label_replace('
                'rate(@refusals_total{reason="not-cached"}[rate]), "status", "504", "", ""))',
                "{{status}}",
            ),
            ('sum by (reason) (rate(@refusals_total{reason=~"circuit|download"}[rate]))', "{{reason}}"),
        ),
        unit="ops",
        alerts=("ImgforgeOriginFailing", "ImgforgeCircuitOpen"),
    ),
    Panel(
        "Waiting",
        "Requests that wait for an origin, and originals that wait for memory (IMGFORGE_SOURCE_MEMORY_MAX_BYTES).",
        (
            ("sum(@source_fetches_in_progress)", "for an origin"),
            ("sum(@source_memory_waiting)", "for memory"),
        ),
        alerts=("ImgforgeOriginalsWaitForMemory",),
    ),
    Panel(
        "Fallback images",
        "Fallback images by the status of the failure that they replace.",
        (("sum by (status) (rate(@fallback_images_total[rate]))", "{{status}}"),),
        unit="ops",
        alerts=("ImgforgeFallbackImages",),
    ),
    Panel(
        "Cut off",
        "Images made of originals that end too early, with IMGFORGE_TRUNCATED_IMAGES=serve.",
        (("sum(rate(@truncated_images_total[rate]))", "truncated"),),
        unit="ops",
        alerts=("ImgforgeTruncatedImages",),
    ),
)

SATURATION = (
    Panel(
        "Image threads",
        "Operations on threads and in the queue for one, and how many threads there are (IMGFORGE_WORKERS).",
        (
            ("sum by (operation) (@image_operations_active)", "{{operation}}: on a thread"),
            ("sum by (operation) (@image_operations_waiting)", "{{operation}}: waiting"),
            ("sum(@image_operation_concurrency_limit)", "threads"),
        ),
        alerts=("ImgforgeSaturated",),
    ),
    Panel(
        "Images for each thread",
        "Images on a thread or in the queue for one, for each thread, by server.",
        (("@images_in_progress / @image_operation_concurrency_limit", "{{instance}}"),),
        steps=((0, "green"), (1, ORANGE), (1.5, RED)),
        alerts=("ImgforgeSaturated",),
    ),
    Panel(
        "Refusals",
        "Requests refused by a limit or a rule: queue, origin, rate and clients are overload; see docs/operations.md.",
        (("sum by (reason) (rate(@refusals_total[rate]))", "{{reason}}"),),
        unit="reqps",
        alerts=("ImgforgeRefusals",),
    ),
    Panel(
        "CPU",
        "CPUs in use by server, decoder processes included.",
        (("rate(@process_cpu_seconds_total[rate])", "{{instance}}"),),
    ),
    Panel(
        "Memory",
        "Resident bytes of all processes by server, shared pages in each, and the limit at which the kernel kills.",
        (
            ("sum by (instance) (@process_resident_memory_bytes)", "{{instance}}"),
            ("sum by (instance) (@decoder_processes_memory_bytes)", "{{instance}}: decoders"),
            ("sum by (instance) (@vips_memory_bytes)", "{{instance}}: pixels of libvips"),
            ("sum by (instance) (@memory_limit_bytes)", "{{instance}}: limit"),
        ),
        unit="bytes",
        alerts=("ImgforgeMemoryNearLimit",),
    ),
    Panel(
        "Descriptors",
        "The part of its descriptors that a process has open.",
        (("max by (instance) (@process_open_fds / @process_max_fds)", "{{instance}}"),),
        unit="percentunit",
        steps=((0, "green"), (0.8, RED)),
        alerts=("ImgforgeDescriptorsNearLimit",),
    ),
    Panel(
        "Requests and connections",
        "Requests under way, those of the fast lane excepted, and connections of clients (IMGFORGE_MAX_CLIENTS).",
        (
            ("sum(@requests_in_progress)", "requests"),
            ("sum(@client_connections)", "connections"),
        ),
        width=12,
    ),
    Panel(
        "Decoder processes",
        "Processes of decoders (PDF, raw files, costly SVG) now, and files that one was started for.",
        (
            ("sum(@decoder_processes)", "processes"),
            ("sum(rate(@decoder_processes_started_total[rate]))", "started a second"),
        ),
        width=12,
    ),
)

ERRORS = (
    Panel(
        "Errors by status",
        "Responses from 400 on. The log has a line for each, with its reason.",
        (('sum by (status) (rate(@status_codes_total{status=~"[45].."}[rate]))', "{{status}}"),),
        unit="reqps",
        alerts=("ImgforgeErrorsFast", "ImgforgeErrorsSlow"),
    ),
    Panel(
        "Workers",
        "Worker processes that run and that should, and restarts: a worker that crashed is replaced at once.",
        (
            ('sum(count by (instance) (@process_start_time_seconds{pid=~"[0-9]+"}))', "run"),
            ("sum(@worker_processes_expected)", "expected"),
            ("sum(increase(@worker_restarts_total[rate]))", "restarts"),
        ),
        alerts=("ImgforgeWorkersCrash", "ImgforgeWorkersMissing"),
    ),
    Panel(
        "Quarantine",
        "Sources that crashed a worker, for IMGFORGE_QUARANTINE_SECONDS, and requests for them.",
        (
            ("max by (instance) (@quarantined_sources)", "{{instance}}: sources"),
            ('sum(rate(@refusals_total{reason="quarantine"}[rate]))', "requests a second"),
        ),
        alerts=("ImgforgeSourcesQuarantined",),
    ),
    Panel(
        "Configuration",
        "1 where the last configuration is in use, 0 where a reload failed.",
        (("@config_last_reload_successful", "{{instance}}"),),
        steps=((0, RED), (1, "green")),
        alerts=("ImgforgeReloadFailed",),
    ),
    Panel(
        "Lines dropped",
        "Lines of the access log that their reader was too slow for.",
        (("sum by (instance) (rate(@access_log_lines_dropped_total[rate]))", "{{instance}}"),),
        unit="ops",
        alerts=("ImgforgeLogLinesDropped",),
    ),
    Panel(
        "Versions",
        "What runs where.",
        (("max by (instance, version, libvips, python, twisted) (@imgforge_build_info)", ""),),
        kind="table",
        alerts=("ImgforgeVersionsDiffer",),
    ),
)

PRERENDERING = (
    Panel(
        "Jobs",
        "Jobs in the queue by state, with IMGFORGE_QUEUE_PATH or IMGFORGE_QUEUE_URL. All servers see one queue.",
        (("max by (state) (@prerender_jobs)", "{{state}}"),),
        width=12,
        alerts=("ImgforgePrerenderBacklog", "ImgforgePrerenderFailed"),
    ),
    Panel(
        "Images made beforehand",
        "Jobs of the servers' own processes that ended, by outcome; `imgforge render run` has none of these metrics.",
        (("sum by (outcome) (rate(@prerendered_images_total[rate]))", "{{outcome}}"),),
        unit="ops",
        width=12,
    ),
)
