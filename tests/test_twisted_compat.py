"""Every name of Twisted that may go away with a release of it: that it exists, and does what imgforge needs of it."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

from twisted.internet import abstract, reactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import imgforge
from imgforge.twisted_compat import EPOLL_GROUP, RELIED_ON, GAIResolver, epoll_descriptor, missing_names


class NamesTests(SynchronousTestCase):
    def test_all_names_exist(self) -> None:
        owners = ((row, reactor if row.of_instances else row.owner) for row in RELIED_ON)
        self.assertEqual([str(row) for row, owner in owners if not hasattr(owner, row.name)], [])

    def test_each_row_says_why_it_is_needed_and_what_would_replace_it(self) -> None:
        for row in RELIED_ON:
            self.assertTrue(row.why.endswith("."))
            self.assertTrue(row.public_hook.endswith("."))

    def test_no_other_module_imports_private_names_of_twisted(self) -> None:
        imports = r"from twisted[\w.]*\._\w", r"from twisted[\w.]* import (.*, )?_[a-z]", r"import twisted[\w.]*\._\w"
        private = re.compile(rf"^\s*({'|'.join(imports)})", re.MULTILINE)
        package = Path(imgforge.__file__).parent
        offenders = [path for path in package.rglob("*.py") if private.search(path.read_text("utf-8"))]
        self.assertEqual([path.name for path in offenders if not path.name.startswith("twisted_compat")], [])

    def test_missing_name_is_reported_with_its_module(self) -> None:
        self.addCleanup(setattr, abstract.FileDescriptor, "bufferSize", abstract.FileDescriptor.bufferSize)
        del abstract.FileDescriptor.bufferSize
        self.assertEqual(missing_names(EPOLL_GROUP), ("twisted.internet.abstract.FileDescriptor.bufferSize",))


class ReactorTests(SynchronousTestCase):
    def test_reactor_waits_on_the_epoll_of_the_descriptor(self) -> None:
        self.assertEqual(os.readlink(f"/proc/self/fd/{epoll_descriptor(reactor)}"), "anon_inode:[eventpoll]")

    def test_main_loop_waits_by_an_attribute_of_the_reactor(self) -> None:
        waits: list[float | None] = []
        own: Any = EPollReactor()
        own.callWhenRunning(own.stop)
        own.doIteration = waits.append
        own.run(installSignalHandlers=False)
        self.assertGreater(len(waits), 0)

    def test_other_reactors_have_no_epoll(self) -> None:
        self.assertEqual(epoll_descriptor(SelectReactor()), -1)


class FileDescriptorTests(SynchronousTestCase):
    def test_writing_is_asked_for_with_the_first_byte_and_ended_with_the_last(self) -> None:
        asked: list[str] = []

        class Descriptor(abstract.FileDescriptor):
            connected = 1

            def startWriting(self) -> None:
                asked.append("start")

            def stopWriting(self) -> None:
                asked.append("stop")

            def writeSomeData(self, data: bytes) -> int:
                return min(len(data), 3)

        reactor: Any = MemoryReactorClock()
        descriptor = Descriptor(reactor)
        descriptor.writeSequence([b"four"])
        self.assertEqual(asked, ["start"])
        descriptor.doWrite()
        self.assertEqual(asked, ["start"])
        descriptor.doWrite()
        self.assertEqual(asked, ["start", "stop"])


class ResolverTests(SynchronousTestCase):
    def test_names_are_looked_up_on_the_pool_that_it_is_given(self) -> None:
        class Inline(ThreadPool):
            def callInThreadWithCallback(self, onResult: Any, func: Any, *args: Any, **kw: Any) -> None:
                onResult(True, func(*args, **kw))

        class Receiver:
            def __init__(self) -> None:
                self.heard: list[object] = []

            def resolutionBegan(self, resolution: object) -> None:
                self.heard.append("began")

            def addressResolved(self, address: Any) -> None:
                self.heard.append((address.host, address.port))

            def resolutionComplete(self) -> None:
                self.heard.append("complete")

        class Threads(Clock):
            def callFromThread(self, call: Any, *args: Any) -> None:
                call(*args)

        def look_up(*_: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

        pool, reactor, receiver = Inline(0, 1), Threads(), Receiver()
        resolver = GAIResolver(reactor, lambda: pool, look_up)  # type: ignore[arg-type]
        verifyObject(IHostnameResolver, resolver)
        resolver.resolveHostName(receiver, "example.test", 80)  # type: ignore[arg-type]
        self.assertEqual(receiver.heard, ["began", ("192.0.2.1", 80), "complete"])
