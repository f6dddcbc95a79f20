"""Checks of the machine: processors, memory, descriptors, the cache's directory, ports."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgforge.cli.doctor.finding import Finding, fail, ok, warn
from imgforge.cli.server_connection import ServerRequest, ServerUnreachable, address_of_listener, send

if TYPE_CHECKING:
    from imgforge.config import BindAddress, Settings

__all__ = ["check_cache_directory", "check_descriptors", "check_memory", "check_ports", "check_processes"]

_IN_USE = "in use"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def check_processes(settings: Settings) -> Iterator[Finding]:
    """How many processes and threads would serve on this machine."""
    from imgforge.service import threads_per_process, usable_cpus

    cpus = usable_cpus()
    count = settings.processes or cpus
    threads = threads_per_process(settings, count, cpus)
    text = f"{count} with {threads} image threads each, on {cpus} usable CPUs"
    if count > 2 * cpus:
        yield warn("processes", text, "IMGFORGE_PROCESSES=0 is one for each usable CPU")
    else:
        yield ok("processes", text)


def check_memory(settings: Settings) -> Iterator[Finding]:
    """Whether what the settings allow fits into the machine's memory and the limit of the control group."""
    from imgforge.service import pixel_bytes, usable_bytes, usable_cpus

    usable = usable_bytes()
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limited = f", a limit of the control group; the machine has {_size(machine)}" if usable < machine else ""
    yield ok("memory", f"{_size(usable)} usable{limited}")
    processes = settings.processes or usable_cpus()
    cached = settings.cache_memory_max_bytes if settings.prepare_cache()[0] in {"memory", "hybrid"} else 0
    parts = (pixel_bytes(settings, 1), processes * settings.source_memory_max_bytes, processes * cached)
    pixels, originals, results = map(_size, parts)
    text = f"the settings allow {pixels} of pixels, {originals} of originals and {results} of cached results"
    if sum(parts) > usable:
        cure = (
            "lower IMGFORGE_PROCESSING_MEMORY_MAX_BYTES, IMGFORGE_SOURCE_MEMORY_MAX_BYTES or the cache's, or PROCESSES"
        )
        yield warn("memory", f"{text}, together more than is usable", cure)
    else:
        yield ok("memory", text)


def check_descriptors(settings: Settings) -> Iterator[Finding]:
    """Whether each process may have as many files open as its clients need."""
    from imgforge.service import descriptors_needed, usable_cpus

    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = descriptors_needed(settings, settings.processes or usable_cpus())
    text = f"a process may have {limit if limit != resource.RLIM_INFINITY else 'any number'}, and needs up to {needed}"
    if 0 <= limit < needed:
        yield warn("descriptors", text, "raise ulimit -n or LimitNOFILE=, or lower IMGFORGE_MAX_CLIENTS")
    else:
        yield ok("descriptors", text)


def check_cache_directory(settings: Settings) -> Iterator[Finding]:
    """Whether the disk cache can be written, and the disk has room for it."""
    from imgforge.cache import usable_directory

    path = settings.prepare_state_directory()
    if not path:
        yield ok("cache directory", "there is no disk cache")
        return
    if not usable_directory(path) or not _can_be_written(path):
        cure = f"give it to the server's user: chown -R USER {path}"
        yield fail("cache directory", f"{path} cannot be written, so that nothing is cached on disk", cure)
        return
    free, most = shutil.disk_usage(path).free, settings.cache_disk_max_bytes
    text = f"{path} can be written; {_size(free)} are free, and the cache takes at most {_size(most)}"
    if not most:
        yield warn(
            "cache directory", f"{path} has no limit; {_size(free)} are free", "set IMGFORGE_CACHE_DISK_MAX_BYTES"
        )
    elif free < most // 10:
        cure = "free some space, or lower IMGFORGE_CACHE_DISK_MAX_BYTES, unless the cache is full already"
        yield warn("cache directory", text, cure)
    else:
        yield ok("cache directory", text)


def _can_be_written(path: str) -> bool:
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"x")
            file.flush()
    except OSError:
        return False
    return True


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Whether each listener's address is free, or has a running server of imgforge."""
    for listener in (*settings.listeners, *settings.metrics_listeners):
        name = f"port {listener}"
        if listener.kind == "systemd":
            yield ok(name, "is for systemd to open")
        elif (reason := _taken(listener)) is None:
            yield ok(name, "is free")
        elif reason == _IN_USE and (status := _health(listener)):
            yield ok(name, f"has a server that answers /health with {status}")
        elif reason == _IN_USE:
            yield fail(name, "is taken by another program", "stop that, or choose another address with IMGFORGE_BIND")
        else:
            yield fail(name, f"cannot be listened on: {reason}", "choose another address with IMGFORGE_BIND")


def _taken(listener: BindAddress) -> str | None:
    """Why nobody can listen there now; None where it is free."""
    if listener.kind == "unix":
        if os.path.exists(listener.path):
            return _IN_USE if _health(listener) else None  # what a server that is gone has left is removed at a start
        directory = os.path.dirname(listener.path) or os.curdir
        return None if os.access(directory, os.W_OK | os.X_OK) else f"{directory} cannot be written"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(listener.host, listener.port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return _IN_USE if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return None


def _health(listener: BindAddress) -> int:
    """The status that the server there answers /health with; 0 where there is no HTTP server."""
    try:
        return send(address_of_listener([listener]), ServerRequest("GET", "/health"))[0]
    except ServerUnreachable:
        return 0


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} B"
