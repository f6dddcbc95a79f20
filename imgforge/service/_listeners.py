"""Listening sockets: opened once, by the process that starts, and served by whichever process inherits them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, PrivateCertificate
from twisted.protocols.tls import TLSMemoryBIOFactory

from imgforge.config import BindAddress

__all__ = ["ListenError", "Listener", "adopt", "open_listeners"]

_BACKLOG = 1024
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
_FIRST_INHERITED = 3  # sd_listen_fds(3)


class ListenError(Exception):
    """A listener cannot be opened; the message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An open socket and the address that it was asked for."""

    socket: socket.socket
    address: BindAddress


def open_listeners(addresses: Iterable[BindAddress]) -> tuple[Listener, ...]:
    """Open all of *addresses*; `ListenError` where one is taken, forbidden or missing."""
    opened: list[Listener] = []
    for address in addresses:
        try:
            opened.append(Listener(_open(address), address))
        except OSError as error:
            for listener in opened:
                listener.socket.close()
            reason = "the address is in use" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
            raise ListenError(f"cannot listen on {address}: {reason}") from None
    return tuple(opened)


def _open(address: BindAddress) -> socket.socket:
    if address.kind == "systemd":
        return _inherited(address)
    if address.kind == "unix":
        return _unix(address)
    family, kind, protocol, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it: small answers are not held back for what may follow.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.bind(where)
        return _listening(opened)
    except OSError:
        opened.close()
        raise


def _unix(address: BindAddress) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(address.path)
        opened.bind(address.path)
        os.chmod(address.path, int(address.options.get("mode", "666"), 8))
        return _listening(opened)
    except OSError:
        opened.close()
        raise


def _remove_stale(path: str) -> None:
    """A socket file that nobody listens on is left from a crash; one that answers is somebody's."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)


def _inherited(address: BindAddress) -> socket.socket:
    """A socket that systemd opened, by `index` or `name`."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise ListenError(f"cannot listen on {address}: systemd passed no sockets (LISTEN_PID is not this process)")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    count = int(os.environ.get("LISTEN_FDS", "0"))
    try:
        wanted = address.options
        index = names.index(wanted["name"]) if "name" in wanted else int(wanted.get("index", "0"))
    except ValueError:
        index = count
    if not 0 <= index < count:
        raise ListenError(f"cannot listen on {address}: systemd passed {count} sockets, this one is not among them")
    return _listening(socket.socket(fileno=os.dup(_FIRST_INHERITED + index)))


def _listening(opened: socket.socket) -> socket.socket:
    opened.setblocking(False)
    opened.listen(_BACKLOG)
    return opened


def adopt(reactor: Any, listener: Listener, factory: IProtocolFactory) -> IListeningPort:
    """Accept connections of *listener* for *factory* in this process, under TLS where the address says so."""
    if listener.address.kind == "ssl":
        factory = TLSMemoryBIOFactory(_certificate(listener.address), False, factory)
    opened = listener.socket
    port: IListeningPort = reactor.adoptStreamPort(opened.fileno(), opened.family, factory)
    return port


def _certificate(address: BindAddress) -> CertificateOptions:
    key_path = address.options["privateKey"]
    key = KeyPair.load(Path(key_path).read_bytes(), FILETYPE_PEM)
    chain = _PEM_CERTIFICATE.findall(Path(address.options.get("certKey", key_path)).read_bytes())
    certificates = [Certificate.loadPEM(part) for part in chain]
    own = PrivateCertificate.fromCertificateAndKeyPair(certificates[0], key)
    return CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        extraCertChain=[one.original for one in certificates[1:]],
    )
