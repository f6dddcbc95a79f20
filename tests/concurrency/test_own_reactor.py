"""Work in a reactor of its own: its result, its failure, its end by time or by a signal."""

from __future__ import annotations

import signal
import subprocess
import sys

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from imgforge.concurrency import run_in_own_reactor

_HANGING = """
import signal, sys
from twisted.internet.defer import Deferred
from imgforge.concurrency import run_in_own_reactor

async def hang(reactor):
    print("hangs", flush=True)
    await Deferred()

try:
    run_in_own_reactor(hang)
except KeyboardInterrupt:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    sys.exit(77)
"""


class OwnReactorTests(SynchronousTestCase):
    def test_result_and_failure_are_those_of_the_work(self) -> None:
        async def work(reactor: IReactorTime) -> int:
            return await deferLater(reactor, 0.01, lambda: 5)

        async def fail(_reactor: object) -> int:
            raise ValueError("broken")

        before = signal.getsignal(signal.SIGINT)
        self.assertEqual([run_in_own_reactor(work), run_in_own_reactor(work)], [5, 5])
        with self.assertRaisesRegex(ValueError, "broken"):
            run_in_own_reactor(fail)
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_work_that_takes_too_long_is_cancelled(self) -> None:
        waiting: list[Deferred[None]] = [Deferred()]

        async def hang(_reactor: object) -> None:
            await waiting[0]

        with self.assertRaises(TookTooLong):
            run_in_own_reactor(hang, 0.01)
        self.assertTrue(waiting[0].called)

    def test_signals_end_it(self) -> None:
        for number, status in ((signal.SIGINT, 77), (signal.SIGTERM, 128 + signal.SIGTERM)):
            with subprocess.Popen([sys.executable, "-c", _HANGING], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                self.assertEqual(process.stdout.readline(), b"hangs\n")
                process.send_signal(number)
                self.assertEqual(process.wait(30), status)
