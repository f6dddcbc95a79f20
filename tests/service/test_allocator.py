"""The end of a process's start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fresh_python import output_of

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
        self.assertEqual(output_of(PROGRAM), "0 True True")
