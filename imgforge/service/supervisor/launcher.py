"""Workers are forked by a template (`worker.template`), which is started when one is needed and ends when none was.

    launcher ── the descriptors of a worker ──> template ── fork ──> worker
             <─ its process id ──────────────       └─ ends after 20 s, or when a worker has crashed

A worker's memory has the same addresses as that of the others of its template. An attacker who learns them by a crash
finds others in the successor, since that is another template's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.interfaces import IServerReactor
from imgforge.service.platform import adopt_orphans
from imgforge.service.supervisor.forked_process import ForkedProcess
from imgforge.service.supervisor.template_process import TemplateProcess

__all__ = ["Launcher"]

_LONGEST_IDLE = 20.0  # seconds, after which the template ends: it has some 15 MB of its own
_ENDED = "the process that forks workers has ended"


@implementer(IReadDescriptor)
class Launcher:
    """Starts workers by *template*, or by a new one where that is None or has ended."""

    def __init__(self, reactor: IServerReactor, template: TemplateProcess | None = None) -> None:
        self._reactor = reactor
        self._template: TemplateProcess | None = None
        self._asked: deque[ForkedProcess] = deque()  # workers that the template has not answered for yet
        self._end: IDelayedCall | None = None
        if template is not None:
            self._use(template)

    def launch(self, protocol: ProcessProtocol, document: bytes, log: int, stderr: int, shared: Sequence[int]) -> None:
        """Start a worker with these descriptors (see `worker.main`), and tell *protocol* of it as `spawnProcess` does.

        `OSError` where no process can be started.
        """
        adopt_orphans()  # a worker is one
        template = self._template or self._use(TemplateProcess.spawn())
        worker = ForkedProcess(self._reactor, protocol, template.kill)
        try:
            worker.ask(template.control, document, log, stderr, shared)
        except ConnectionError as error:  # its end is about to be read
            raise OSError(error.errno, _ENDED) from None
        self._asked.append(worker)
        self._put_off_end()
        protocol.makeConnection(worker)

    def retire(self) -> None:
        """Have further workers forked by another template, unless this one forks some at the moment."""
        if not self._asked:
            self.close()

    def close(self) -> None:
        """End the template: the workers that it has not forked will not be there."""
        if self._end is not None:
            self._end.cancel()
            self._end = None
        if self._template is not None:
            self._reactor.removeReader(self)
            self._template.control.close()
            self._template = None
        asked, self._asked = self._asked, deque()  # no answer is for a worker that another template was asked for
        for worker in asked:
            worker.fail(_ENDED)

    def _use(self, template: TemplateProcess) -> TemplateProcess:
        template.watch()
        template.control.setblocking(False)
        self._template = template
        self._reactor.addReader(self)
        return template

    def _put_off_end(self) -> None:
        if self._end is None:
            self._end = self._reactor.callLater(_LONGEST_IDLE, self._end_idle)
        else:
            self._end.reset(_LONGEST_IDLE)

    def _end_idle(self) -> None:
        self._end = None
        if self._asked:  # its answer takes long; a worker that waits for too long has it killed
            self._put_off_end()
        else:
            self.close()

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self._template.control.fileno() if self._template is not None else -1

    def logPrefix(self) -> str:
        """See `IReadDescriptor`."""
        return "template"

    def doRead(self) -> Any:
        """Take the template's answer."""
        if self._template is None:
            return None
        try:
            answer = self._template.control.recv(256)
        except BlockingIOError:
            return None
        except OSError:
            answer = b""
        if not answer:
            return CONNECTION_DONE
        worker = self._asked.popleft()
        if answer.startswith(b"!"):
            worker.fail(answer[1:].decode("utf-8", "replace"))
        else:
            worker.begin(int(answer))
        return None

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """The template has ended, or the reactor stops."""
        self.close()
