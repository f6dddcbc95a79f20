"""Every private name of Twisted that imgforge uses, but for those of HTTP servers (`imgforge.twisted_compat_http`).

A private name may change with any release of Twisted, so each has a row in `RELIED_ON`: what it is for, and which
public hook would replace it. The rest of the package uses the classes of this module. tests/test_twisted_compat.py
shows that the names exist and behave; .ci/run runs it with the oldest and the newest Twisted that imgforge supports.

The epoll group uses public names only, some of which have no documentation. They have rows too: where one is missing
the group is off, and the reactor reads from all connections itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet import _resolver, abstract, tcp, unix
from twisted.internet._resolver import GAIResolver

__all__ = ["EPOLL_GROUP", "RELIED_ON", "GAIResolver", "ReliedOn", "missing_names"]

EPOLL_GROUP, HOST_NAMES = "epoll group", "host names"


@dataclass(frozen=True, slots=True)
class ReliedOn:
    """A name of Twisted that a later release may take away."""

    part: str  # the part of imgforge that uses it
    owner: Any  # the class or module that has it
    name: str
    why: str
    public_hook: str  # what would replace it

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
    """The names that *part* relies on and this Twisted does not have, with their modules."""
    return tuple(str(row) for row in RELIED_ON if row.part == part and not hasattr(row.owner, row.name))
