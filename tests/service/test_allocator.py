"""The end of a process's start."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

# In a process of its own: what is frozen stays so.
PROGRAM = """
import gc
from imgforge.service.platform import settle
gc.disable()
collections = []
gc.callbacks.append(lambda *described: collections.append(described))
settle()
print(len(collections), gc.get_freeze_count() > 1000, gc.isenabled())
"""


class SettleTests(SynchronousTestCase):
    def test_collector_leaves_out_what_the_start_has_made_without_going_through_it(self) -> None:
        output = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
        self.assertEqual(output.split(), ["0", "True", "True"])
