"""Every private name of Twisted that imgforge uses, but for those of HTTP servers (`imgforge.twisted_compat_http`).

A private name may change with any release of Twisted, so each has a row in `RELIED_ON`: what it is for, and which
public hook would replace it. The rest of the package uses the classes of this module. tests/test_twisted_compat.py
shows that the names exist and behave; .ci/run runs it with the oldest and the newest Twisted that imgforge supports.

The names that the epoll group uses are public, but for one, and some have no documentation. Where one is missing the
group is off, and the reactor reads from all connections itself.
"""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import Any

from twisted.internet import _resolver, abstract, base, epollreactor, tcp, unix
from twisted.internet._resolver import GAIResolver

__all__ = ["EPOLL_GROUP", "RELIED_ON", "GAIResolver", "ReliedOn", "epoll_descriptor", "missing_names"]

EPOLL_GROUP, HOST_NAMES = "epoll group", "host names"


@dataclass(frozen=True, slots=True)
class ReliedOn:
    """A name of Twisted that a later release may take away."""

    part: str  # the part of imgforge that uses it
    owner: Any  # the class or module that has it
    name: str
    why: str
    public_hook: str  # what would replace it
    of_instances: bool = False  # whether only instances of the class have it

    def __str__(self) -> str:
        module = getattr(self.owner, "__module__", "")
        return f"{module}.{self.owner.__name__}.{self.name}" if module else f"{self.owner.__name__}.{self.name}"


RELIED_ON = (
    ReliedOn(
        HOST_NAMES,
        _resolver,
        "GAIResolver",
        "Looks host names up by getaddrinfo on a thread pool of ours: the reactor's own resolver shares the reactor's "
        "pool, where ten silent name servers would stop all work with files.",
        "IReactorPluggableNameResolver with a choice of the thread pool, or GAIResolver under a public name.",
    ),
    ReliedOn(
        EPOLL_GROUP,
        epollreactor.EPollReactor,
        "_poller",
        "The epoll that the reactor waits on: the group waits on it and on the clients' connections at once.",
        "A reactor that has the descriptor of its own epoll.",
        of_instances=True,
    ),
    ReliedOn(
        EPOLL_GROUP,
        base.ReactorBase,
        "doIteration",
        "The reactor's main loop calls it to wait: the group takes its place.",
        "A reactor that reads from many ready connections in one call.",
    ),
    *(
        ReliedOn(
            EPOLL_GROUP,
            port,
            name,
            "Undocumented: a port opens its socket by createInternetSocket and makes a connection of each client by "
            "transport.",
            "reactor.adoptStreamPort with an argument for the transport.",
        )
        for port in (tcp.Port, unix.Port)
        for name in ("createInternetSocket", "transport")
    ),
    *(
        ReliedOn(
            EPOLL_GROUP,
            abstract.FileDescriptor,
            name,
            "Undocumented: how a connection asks its reactor for events, and how many bytes it reads at once.",
            "A reactor that reads from many ready connections in one call.",
        )
        for name in ("startReading", "stopReading", "startWriting", "stopWriting", "bufferSize")
    ),
)


def missing_names(part: str) -> tuple[str, ...]:
    """The names that *part* relies on and this Twisted does not have, with their modules; instances are not seen."""
    return tuple(
        str(row) for row in RELIED_ON if row.part == part and not row.of_instances and not hasattr(row.owner, row.name)
    )


def epoll_descriptor(reactor: Any) -> int:
    """The descriptor of the epoll that *reactor* waits on; -1 if it is another kind of reactor."""
    poller = getattr(reactor, "_poller", None)
    return poller.fileno() if isinstance(poller, select.epoll) else -1
