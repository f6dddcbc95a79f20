"""What processes ask of the kernel, each in an interpreter of its own."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fresh_python import output_of

ORPHANS = """
import os, time
from imgforge.service.platform import adopt_orphans, reap_orphans
from pathlib import Path

def children():
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())

adopt_orphans()
awaited = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
between = os.fork()
if not between:
    os.posix_spawn("/bin/true", ["true"], {})
    os._exit(0)
os.waitpid(between, 0)
assert len(children()) == 2, "the orphan is here"
while len(children()) == 2:
    reap_orphans({awaited}.__contains__)
    time.sleep(0.01)
os.kill(awaited, 9)
os.waitid(os.P_PID, awaited, os.WEXITED | os.WNOWAIT)
reap_orphans({awaited}.__contains__)
print(os.waitstatus_to_exitcode(os.waitpid(awaited, 0)[1]))
reap_orphans({awaited}.__contains__)
"""
DESCRIPTORS = """
import os
from imgforge.service.platform import close_others
kept = [os.dup(1) for _ in range(9)][3::3]
close_others({0, 1, 2, *kept})
opened = []
for descriptor in range(40):
    try:
        os.fstat(descriptor)
    except OSError:
        continue
    opened.append(descriptor)
print(opened == [0, 1, 2, *kept])
"""
THREADS = """
import threading
from imgforge.service.platform import has_one_thread
before, done = has_one_thread(), threading.Event()
threading.Thread(target=done.wait).start()
print(before, has_one_thread())
done.set()
"""


class ProcessTests(SynchronousTestCase):
    def test_orphans_are_reaped_and_awaited_children_are_not(self) -> None:
        self.assertEqual(output_of(ORPHANS), "-9")

    def test_all_descriptors_but_those_kept_are_closed(self) -> None:
        self.assertEqual(output_of(DESCRIPTORS), "True")

    def test_threads_are_noticed(self) -> None:
        self.assertEqual(output_of(THREADS), "True False")
