"""Listening sockets: opened once, by the process that starts, and served by whichever process inherits them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from imgforge.config import BindAddress
from imgforge.interfaces import IServerReactor
from imgforge.service.net.balance import BalancedPort, BalancedUnixPort, WorkerShare
from imgforge.service.net.epoll_group import EpollGroup
from imgforge.service.net.inherited_ports import InheritedPort, InheritedUnixPort
from imgforge.service.net.port_holder import holder_of_path, holder_of_port
from imgforge.service.net.tls import Credentials, CredentialsError, read_credentials
from imgforge.service.platform import sockets_from_systemd

__all__ = ["ListenError", "Listener", "accept_waiting", "adopt", "open_listeners"]

_BACKLOG = 1024


class ListenError(Exception):
    """Listeners cannot be opened; the arguments are lines for the operator, one for each listener."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An open socket, its address as configured, and the credentials of a TLS listener."""

    socket: socket.socket
    address: BindAddress
    credentials: Credentials | None = None

    def remove(self) -> None:
        """Removes the file of a closed unix socket; called by the process that opened it, when no process accepts."""
        if self.address.kind == "unix":
            with contextlib.suppress(OSError):  # there is no such file, or the process may no longer remove it
                os.unlink(self.address.path)


def open_listeners(addresses: Iterable[BindAddress], *, reuse_port: bool = False) -> tuple[Listener, ...]:
    """Opens all of *addresses*; `ListenError` where some are in use, forbidden or missing, and then none is open.

    *reuse_port*: other servers that set it too may listen on the same ports (SO_REUSEPORT, socket(7)).
    """
    opened: list[Listener] = []
    errors: list[str] = []
    for address in addresses:
        try:
            credentials = read_credentials(address) if address.kind == "ssl" else None
            bound = _open(address, reuse_port=reuse_port)
            opened.append(Listener(bound, _actual(address, bound), credentials))
        except (OSError, CredentialsError, ListenError) as error:
            errors.append(f"cannot listen on {address}: {_reason(error, address)}")
    if errors:
        for listener in opened:
            listener.socket.close()
            listener.remove()
        raise ListenError(*errors)
    return tuple(opened)


def _actual(address: BindAddress, bound: socket.socket) -> BindAddress:
    """*address* with the port that the kernel chose where it asks for any (0)."""
    return replace(address, port=bound.getsockname()[1]) if address.kind in {"tcp", "ssl"} else address


def _reason(error: Exception, address: BindAddress) -> str:
    if isinstance(error, socket.gaierror):
        return f"no such host ({error.strerror})"
    if not isinstance(error, OSError):
        return str(error)
    if error.errno != errno.EADDRINUSE:
        return os.strerror(error.errno or 0)
    holder = holder_of_path(address.path) if address.kind == "unix" else holder_of_port(address.port)
    subject = "the address" if address.kind == "unix" else f"port {address.port}"
    return f"{subject} is in use" + (f" by {holder}" if holder else "")


def _open(address: BindAddress, *, reuse_port: bool) -> socket.socket:
    if address.kind == "systemd":
        return _inherited(address)
    if address.kind == "unix":
        return _unix(address)
    family, kind, protocol, _, socket_address = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(reuse_port))
        # Accepted sockets inherit it: small responses are not held back for data that may follow.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.bind(socket_address)
        return _listening(opened, address)
    except OSError:
        opened.close()
        raise


def _unix(address: BindAddress) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(address.path)
        opened.bind(address.path)
        os.chmod(address.path, int(address.options.get("mode", "666"), 8))
        return _listening(opened, address)
    except OSError:
        opened.close()
        raise


def _remove_stale(path: str) -> None:
    """Removes a socket file that no process listens on, as a crash leaves it."""
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
    passed = sockets_from_systemd()
    if not passed:
        raise ListenError("systemd passed no sockets to this process (LISTEN_FDS): start it by its .socket unit")
    wanted = address.options
    if "name" in wanted:
        chosen = [descriptor for name, descriptor in passed if name == wanted["name"]]
    else:
        index = int(wanted.get("index", "0"))
        chosen = [descriptor for _, descriptor in passed[index : index + 1]]
    if not chosen:
        raise ListenError(f"systemd passed {len(passed)} sockets, and this one is not among them: check index and name")
    return _listening(socket.socket(fileno=os.dup(chosen[0])), address)


def _listening(opened: socket.socket, address: BindAddress) -> socket.socket:
    opened.setblocking(False)
    opened.listen(_backlog(address))
    return opened


def _backlog(address: BindAddress) -> int:
    """The number of connections that may wait to be accepted."""
    return int(address.options.get("backlog", _BACKLOG))


def accept_waiting(reactor: IServerReactor, listener: Listener, port: Any) -> None:
    """Accepts what has connected to *listener* since its *port* stopped: the kernel resets it when the socket closes.

    Where another server listens on the address as well (SO_REUSEPORT), no client would notice the stop otherwise.
    """
    if listener.socket.family == socket.AF_UNIX:  # which no other server shares
        return
    with contextlib.suppress(OSError):  # BlockingIOError: no connection waits
        while True:
            with listener.socket.accept()[0] as accepted:
                reactor.adoptStreamConnection(accepted.fileno(), accepted.family, port.factory)


def adopt(
    reactor: IServerReactor,
    listener: Listener,
    factory: IProtocolFactory,
    share: WorkerShare | None = None,
    *,
    grouped: bool = False,
) -> IListeningPort:
    """Accepts connections of *listener* for *factory* in this process, under TLS where the address says so.

    With a *share* other processes accept on the same socket, and each takes its part. *grouped* connections are read
    from by an `EpollGroup`; those under TLS never are. The protocols of the factory are `Channel`s then.
    """
    if listener.credentials is not None:
        from twisted.protocols.tls import TLSMemoryBIOFactory

        factory = TLSMemoryBIOFactory(listener.credentials.options(), False, factory)
    group = EpollGroup.of(reactor) if grouped and listener.credentials is None else None
    opened, backlog = listener.socket, _backlog(listener.address)
    over_unix = opened.family == socket.AF_UNIX
    if share is not None:
        balanced = BalancedUnixPort if over_unix else BalancedPort
        port: Any = balanced(opened, factory, backlog, reactor, group)
        port.share = share
    elif over_unix:
        port = InheritedUnixPort(opened, factory, backlog, reactor, group)
    elif group is not None:
        port = InheritedPort(opened, factory, backlog, reactor, group)
    else:
        return reactor.adoptStreamPort(opened.fileno(), opened.family, factory)  # type: ignore[arg-type]
    port.startListening()
    return port  # type: ignore[no-any-return]
