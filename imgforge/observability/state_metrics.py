"""Gauges of what a process is and has at the moment; the process sets them about once a second.

Over several processes each gauge says how its values are combined:

    livesum      the sum over the living processes
    liveall      one series a process, by the label `pid`: a worker's number, or `parent`
    livemax      only one process knows, the others say 0
    mostrecent   all processes see the same thing, and the value set last is right
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

__all__ = ["StateMetrics"]

_Mode = Literal["livesum", "liveall", "livemax", "mostrecent"]

# The standard names of a process' own gauges (Prometheus' client libraries).
_PROCESS = {
    "process_resident_memory_bytes": "Resident memory.",
    "process_virtual_memory_bytes": "Virtual memory.",
    "process_open_fds": "Open descriptors.",
    "process_max_fds": "Descriptors that may be open.",
    "process_start_time_seconds": "When the process started, since the epoch.",
}
_CPU = "process_cpu_seconds_total"

# libvips' figures by the names of `imgforge.processing.usage`, and the names that the Rust imgforge gives them.
_VIPS = {
    "memory_bytes": "Bytes that libvips has allocated.",
    "memory_highwater_bytes": "The most bytes that libvips had allocated.",
    "allocations": "Allocations that libvips holds.",
    "files": "Files that libvips has open.",
    "threads": "Threads that libvips may use for one image.",
}
_VIPS_ALIASES = {
    "memory_bytes": "tracked_mem_bytes",
    "memory_highwater_bytes": "tracked_mem_highwater_bytes",
    "allocations": "tracked_allocs",
}


class StateMetrics:
    """The gauges of this process, *namespace* before their names."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        def gauge(name: str, text: str, *labels: str, mode: _Mode = "livesum") -> Gauge:
            return Gauge(name, text, labels, namespace=namespace, registry=registry, multiprocess_mode=mode)

        self._cpu = Counter(
            _CPU, "CPU time, of all processes and their decoders.", namespace=namespace, registry=registry
        )
        self._counted_cpu = 0.0
        self._process = {name: gauge(name, text, mode="liveall") for name, text in _PROCESS.items()}
        self._process_collector = ProcessCollector(registry=CollectorRegistry())
        self._build = gauge(
            "imgforge_build_info",
            "Always 1.",
            *("version", "libvips", "python", "twisted"),
            mode="livemax",
        )
        self._connections = gauge("client_connections", "Connections of clients.")
        self._requests = gauge("requests_in_progress", "Requests for images and /info under way.")
        self._images = gauge("images_in_progress", "Images on a thread or in the queue for one.")
        self._fetches = gauge("source_fetches_in_progress", "Requests that wait for an origin.")
        self._memory_waits = gauge("source_memory_waiting", "Originals that wait for memory.")
        self._memory = {
            "bytes": gauge("cache_memory_bytes", "Bytes in the memory tier.", "cache_type"),
            "entries": gauge("cache_memory_entries", "Entries in the memory tier.", "cache_type"),
        }
        self._disk = {
            "bytes": gauge("cache_disk_bytes", "Bytes in the disk tier.", "cache_type", mode="mostrecent"),
            "entries": gauge("cache_disk_entries", "Entries in the disk tier.", "cache_type", mode="mostrecent"),
        }
        self._disk_shown: dict[str, tuple[int, int]] = {}
        self._disk_limit = gauge(
            "cache_disk_limit_bytes", "Bytes that the disk tier may have.", "cache_type", mode="livemax"
        )
        self._memory_limit = gauge("memory_limit_bytes", "Memory that all processes may use.", mode="livemax")
        self._workers = gauge("worker_processes_expected", "Worker processes that should run.", mode="livemax")
        self._reload_success = gauge(
            "config_last_reload_successful", "Whether the last configuration is in use.", mode="livemax"
        )
        self._reload_time = gauge(
            "config_last_reload_timestamp_seconds", "When the configuration was last read.", mode="livemax"
        )
        self._decoders = gauge("decoder_processes", "Processes of decoders: zygotes, and those for a file.")
        self._decoder_memory = gauge("decoder_processes_memory_bytes", "Their resident memory; shared pages in each.")
        self._decoded = Counter(
            "decoder_processes_started_total",
            "Files that a process of their own was started for.",
            namespace=namespace,
            registry=registry,
        )
        self._counted_decoded = 0.0
        self._quarantined = gauge("quarantined_sources", "Sources that are refused.", mode="livemax")
        vips = {name: gauge(f"vips_{name}", text) for name, text in _VIPS.items()}
        aliases = {name: gauge(f"vips_{alias}", _VIPS[name]) for name, alias in _VIPS_ALIASES.items()}
        self._vips = {name: [vips[name], *([aliases[name]] if name in aliases else [])] for name in vips}

    def update_process(self, *, children: bool = True, decoder_seconds: float = 0.0) -> None:
        """Sets this process' own figures; *children* adds the CPU time of its children that have ended.

        *decoder_seconds* is that of its decoder processes whose zygote lives.
        """
        for family in self._process_collector.collect():
            for sample in family.samples:
                if sample.name in self._process:
                    self._process[sample.name].set(sample.value)
        times = os.times()
        used = times.user + times.system + (times.children_user + times.children_system if children else 0.0)
        used += decoder_seconds
        if used > self._counted_cpu:
            self._cpu.inc(used - self._counted_cpu)
            self._counted_cpu = used

    def build(self, *, version: str, libvips: str, python: str, twisted: str) -> None:
        """Sets the versions of the parts that run."""
        self._build.labels(version, libvips, python, twisted).set(1)

    def memory_limit(self, limit: int) -> None:
        """Sets how many bytes of memory all processes together may use."""
        self._memory_limit.set(limit)

    def workers(self, expected: int) -> None:
        """Sets how many worker processes should run."""
        self._workers.set(expected)

    def load(self, *, connections: int, requests: int, images: int, fetches: int, memory_waits: int) -> None:
        """Sets how many of each there are now; see the gauges' texts."""
        self._connections.set(connections)
        self._requests.set(requests)
        self._images.set(images)
        self._fetches.set(fetches)
        self._memory_waits.set(memory_waits)

    def memory_tier(self, cache: str, size: int, entries: int) -> None:
        """Sets the bytes and entries of this process' memory tier of *cache*."""
        self._memory["bytes"].labels(cache).set(size)
        self._memory["entries"].labels(cache).set(entries)

    def disk_tier(self, cache: str, size: int, entries: int, limit: int = 0) -> None:
        """Sets the bytes and entries that the disk tier of *cache* had at the last sweep this process knows of.

        *limit* are the bytes that it may have; 0 is no limit, and is not shown.
        """
        if limit:
            self._disk_limit.labels(cache).set(limit)
        if self._disk_shown.get(cache) != (size, entries):  # or an old value would pass for the latest
            self._disk_shown[cache] = size, entries
            self._disk["bytes"].labels(cache).set(size)
            self._disk["entries"].labels(cache).set(entries)

    def reloaded(self, now: float, *, worked: bool) -> None:
        """Sets when the configuration was last read (seconds since the epoch), and whether it *worked*."""
        self._reload_success.set(int(worked))
        self._reload_time.set(now)

    def quarantined(self, sources: int) -> None:
        """Sets how many *sources* are quarantined as they crashed a worker."""
        self._quarantined.set(sources)

    def decoders(self, *, processes: float, memory_bytes: float, started: float) -> None:
        """Sets how many decoder processes there are and their memory, and how many this process *started* in all."""
        self._decoders.set(processes)
        self._decoder_memory.set(memory_bytes)
        self._decoded.inc(started - self._counted_decoded)
        self._counted_decoded = started

    def vips(self, values: Mapping[str, float]) -> None:
        """Sets libvips' own figures, see `imgforge.processing.usage`."""
        for name, value in values.items():
            for gauge in self._vips[name]:
                gauge.set(value)
