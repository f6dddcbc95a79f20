"""Syslog: messages to a receiver on this machine or in the network, in the formats of Go's log/syslog.

    local       <14>Nov 28 09:07:03 imgforge[4711]: message                                  (RFC 3164, without a host)
    network     <14>2026-11-28T09:07:03+01:00 images-1 imgforge[4711]: message

Each message is a datagram, or a line of a stream. A thread sends them, and connects again for as long as the receiver
is away. `logging.handlers.SysLogHandler` would connect without a time limit, and a lost TCP connection only once.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twisted.logger import Logger, LogLevel

from imgforge.observability.counted_lines import CountedLines
from imgforge.observability.logs import one_line

__all__ = ["SYSLOG_NETWORKS", "Syslog", "SyslogReceiver"]

_MOST = 4 * 1024 * 1024  # bytes that wait
_LONGEST = 8192  # bytes of a message: rsyslog's default, and one datagram over any path
_PATIENCE = 5.0  # seconds to connect, and to send a message
_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before each further attempt; the last one again and again

_FACILITY = 1  # user: Go's kern is for the kernel, and syslogs turn it into user
_SEVERITIES = {LogLevel.debug: 7, LogLevel.info: 6, LogLevel.warn: 4, LogLevel.error: 3, LogLevel.critical: 2}
_MONTHS = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]  # in English whatever the locale
_LOCAL = ("/dev/log", "/var/run/syslog", "/var/run/log")

_STREAM, _DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
_UNIX = {"unix": _STREAM, "unixgram": _DATAGRAM, "unixpacket": socket.SOCK_SEQPACKET}
_INTERNET = {
    f"{name}{version}": (kind, family)
    for name, kind in (("tcp", _STREAM), ("udp", _DATAGRAM))
    for version, family in (("", socket.AF_UNSPEC), ("4", socket.AF_INET), ("6", socket.AF_INET6))
}
SYSLOG_NETWORKS = ("", *_INTERNET, *_UNIX)


@dataclass(frozen=True, slots=True)
class SyslogReceiver:
    """Where messages go: *network* is one of `SYSLOG_NETWORKS`, empty for this machine's syslog, which has no address.

    *address* is the path of a socket, or host:port; *tag* names the program.
    """

    network: str = ""
    address: str = ""
    tag: str = "imgforge"

    def __str__(self) -> str:
        return f"{self.network}:{self.address}" if self.network else _LOCAL[0]

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: its messages have no host."""
        return not self.network or self.network in _UNIX

    def connect(self) -> socket.socket:
        """A connected socket, whose calls take `_PATIENCE` seconds at most. Raises `OSError`."""
        fault = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        for family, kind, address in self._targets():
            try:
                return _connected(family, kind, address)
            except OSError as error:
                fault = error
        raise fault

    def _targets(self) -> list[tuple[int, int, Any]]:
        """Family, kind and address of the sockets to try, in this order."""
        if not self.network:
            return [(socket.AF_UNIX, kind, path) for path in _LOCAL for kind in (_DATAGRAM, _STREAM)]
        if self.network in _UNIX:
            return [(socket.AF_UNIX, _UNIX[self.network], self.address)]
        kind, family = _INTERNET[self.network]
        host, _, port = self.address.rpartition(":")
        found = socket.getaddrinfo(host.removeprefix("[").removesuffix("]") or None, port, family, kind)
        return [(one[0], kind, one[4]) for one in found]

    def frame(self, level: Any, at: float, text: str) -> bytes:
        """The message *text* of the `LogLevel` *level* and the time *at*, in seconds since the epoch."""
        local = time.localtime(at)
        if self.is_local:
            head = f"{_MONTHS[local.tm_mon - 1]} {local.tm_mday:2d} {time.strftime('%H:%M:%S', local)}"
        else:
            when = datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds").replace("+00:00", "Z")
            head = f"{when} {socket.gethostname()}"
        priority = _FACILITY << 3 | _SEVERITIES[level]
        message = f"<{priority}>{head} {self.tag}[{os.getpid()}]: {one_line(text)}".encode("utf-8", "backslashreplace")
        if len(message) >= _LONGEST:
            message = message[: _LONGEST - 4].decode("utf-8", "ignore").encode() + b"..."
        return message + b"\n"


class Syslog(CountedLines):
    """Sends messages to *receiver* from `start` on; before that they wait. Any thread may call it.

    About 4 MB may wait; see `CountedLines` for those beyond.
    """

    log = Logger()

    def __init__(self, receiver: SyslogReceiver, notice: Callable[[int], str], most: int = _MOST) -> None:
        super().__init__(most, "syslog", notice)
        self._receiver = receiver
        self._socket: socket.socket | None = None
        self._started = False
        self._closing = threading.Event()

    def send(self, level: Any, text: str) -> None:
        """Send *text*, one line, as a message of the `LogLevel` *level*."""
        frame = self._receiver.frame(level, time.time(), text).decode()
        self.put(_same, (frame,), len(frame))

    def start(self) -> None:
        """Send from now on, on a thread that starts with the first message."""
        with self._lock:
            self._started = True
            if not self._queue.empty():
                super().start_thread()

    def start_thread(self) -> None:
        """See `LineThread`: not before `start`."""
        if self._started:
            super().start_thread()

    def close(self, patience: float = 1.0) -> bool:
        """Send what waits, for *patience* seconds at most."""
        self.start()
        closed = super().close(patience)
        self._closing.set()
        return closed

    def discard(self) -> None:
        """Forget what waits: this process is a fork, and its parent sends it."""
        while not self._queue.empty():
            self._queue.get()

    def deliver(self, lines: Iterable[str]) -> None:
        """See `LineThread`."""
        for line in lines:
            self._send(line.encode())

    def _take_notice(self, _: None) -> str:
        return self._receiver.frame(LogLevel.warn, time.time(), super()._take_notice(_)).decode()

    def _send(self, message: bytes) -> None:
        """Send *message*, as often as it takes; `OSError` if it can never be sent, or at the end."""
        failures = 0
        while True:
            try:
                self._send_once(message)
            except OSError as error:
                self._disconnect()
                if error.errno == errno.EMSGSIZE or self._closing.is_set():
                    raise
                if failures == 1:  # a lost connection alone is made again without a word
                    self.log.warn(
                        "syslog at {receiver} takes no messages: {reason}; they wait, and those beyond "
                        "{most} MB are dropped",
                        receiver=str(self._receiver),
                        reason=error.strerror or str(error),
                        most=self._most >> 20,
                    )
                self._closing.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
            else:
                if failures > 1:
                    self.log.info("syslog at {receiver} takes messages again", receiver=str(self._receiver))
                return

    def _send_once(self, message: bytes) -> None:
        if self._socket is None or _has_ended(self._socket):
            self._disconnect()
            self._socket = self._receiver.connect()
        self._socket.sendall(message)

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(family: int, kind: int, address: Any) -> socket.socket:
    connected = socket.socket(family, kind)
    try:
        connected.settimeout(_PATIENCE)
        connected.connect(address)
    except BaseException:
        connected.close()
        raise
    return connected


def _has_ended(connection: socket.socket) -> bool:
    """Whether the receiver has closed the *connection*: a first message would go nowhere without an error."""
    if connection.type == _DATAGRAM:
        return False
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0)) and not connection.recv(1, socket.MSG_PEEK)


def _same(line: str) -> str:
    return line
