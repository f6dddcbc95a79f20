"""CPU time, memory, descriptors and threads of process trees (bench/process_usage.py)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench.process_usage import MemorySamples, children, cpu_seconds, memory_bytes, sample_memory, usage
from tests.support.fresh_python import output_of
from tests.support.process import wait_for

# A grandchild uses half a second of CPU time, reports that on standard output, then waits.
_BUSY_GRANDCHILD = """
import os, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        while time.process_time() < 0.5: pass
        os.write(1, b"burnt")
    time.sleep(60)
time.sleep(60)
"""

# Three threads and four sockets more than before: the tests' own process has those of other tests.
_THREADS_AND_SOCKETS = """
import os, socket
from threading import Event, Thread
from bench.process_usage import usage
before, ended = usage(os.getpid(), descendants=False), Event()
threads = [Thread(target=ended.wait, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
sockets = [socket.socket() for _ in range(4)]
after = usage(os.getpid(), descendants=False)
print(after.threads - before.threads, after.descriptors - before.descriptors, after.memory)
"""

# A grandchild holds 64 MB that it shares with a child of its own, then waits.
_LARGE_GRANDCHILD = """
import os, time
if os.fork() == 0:
    held = bytearray(os.urandom(1 << 20)) * 64
    os.fork()
    os.write(1, b"held")
    time.sleep(60)
time.sleep(60)
"""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill *process* and its descendants, and wait for it: it would be a child of the next test's."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class CpuTests(SynchronousTestCase):
    """CPU seconds."""

    def test_cpu_time_of_grandchildren_counts(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", _BUSY_GRANDCHILD], stdout=subprocess.PIPE, start_new_session=True
        )
        self.addCleanup(_end, process)
        if process.stdout is None:
            self.fail("no pipe")
        with process.stdout:
            self.assertEqual(process.stdout.read(5), b"burnt")
            self.assertGreaterEqual(cpu_seconds(process.pid), 0.45)


class MemoryTests(SynchronousTestCase):
    """Resident memory and its samples."""

    def test_memory_that_descendants_share_counts_once(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", _LARGE_GRANDCHILD], stdout=subprocess.PIPE, start_new_session=True
        )
        self.addCleanup(_end, process)
        if process.stdout is None:
            self.fail("no pipe")
        with process.stdout:
            self.assertEqual(process.stdout.read(4), b"held")
            self.assertTrue(64 << 20 <= memory_bytes(process.pid) < 120 << 20)

    def test_slope_is_that_of_the_second_half_and_the_peak_that_of_all_samples(self) -> None:
        memory = MemorySamples([(0, 900), (1, 100), (2, 300), (3, 310), (4, 320), (5, 330)])
        self.assertEqual((memory.peak, memory.last), (900, 330))
        self.assertAlmostEqual(memory.slope, 10)

    def test_memory_is_sampled_at_the_end_of_even_the_shortest_block(self) -> None:
        with sample_memory([os.getpid()]) as memory:
            pass
        self.assertGreater(memory.last, 1 << 20)


class UsageTests(SynchronousTestCase):
    """Descriptors, threads and children."""

    def test_descriptors_and_threads_of_a_process_are_counted(self) -> None:
        threads, descriptors, memory = map(int, output_of(_THREADS_AND_SOCKETS).split())
        self.assertEqual((threads, descriptors), (3, 4))
        self.assertGreater(memory, 1 << 20)

    def test_children_are_direct_and_usage_includes_grandchildren(self) -> None:
        script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
        try:
            wait_for(lambda: children(process.pid), "the grandchild")
            ours, (grandchild,) = children(os.getpid()), children(process.pid)
            self.assertIn(process.pid, ours)
            self.assertNotIn(grandchild, ours)
            alone, together = usage(process.pid, descendants=False), usage(process.pid)
            self.assertGreater(together.threads, alone.threads)
        finally:
            process.communicate(b"\n")
