"""The machine: CPUs, memory limits, the allocator, systemd, signals."""

from imgforge.service.platform.allocator import raise_descriptor_limit, settle, tune_allocator
from imgforge.service.platform.cpus import usable_cpus
from imgforge.service.platform.idle_trim import IdleTrim
from imgforge.service.platform.leaving_out import HTTP2_SERVER, TLS, left_out
from imgforge.service.platform.memory_limits import pixel_bytes, usable_bytes
from imgforge.service.platform.processes import (
    adopt_orphans,
    close_others,
    confine,
    die_with_parent,
    has_one_thread,
    reap_orphans,
    rename_process,
)
from imgforge.service.platform.signals import (
    call_on_hangup,
    end_with_failure,
    stop_on_signals,
    stop_when_told,
)
from imgforge.service.platform.systemd import Notifier, sockets_from_systemd

__all__ = [
    "HTTP2_SERVER",
    "TLS",
    "IdleTrim",
    "Notifier",
    "adopt_orphans",
    "call_on_hangup",
    "close_others",
    "confine",
    "die_with_parent",
    "end_with_failure",
    "has_one_thread",
    "left_out",
    "pixel_bytes",
    "raise_descriptor_limit",
    "reap_orphans",
    "rename_process",
    "settle",
    "sockets_from_systemd",
    "stop_on_signals",
    "stop_when_told",
    "tune_allocator",
    "usable_bytes",
    "usable_cpus",
]
