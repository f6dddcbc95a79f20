"""What libvips says reaches Python's logging from warnings on, and nothing less."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fresh_python import output_of

# In a process of its own: `configure` is for good.
_SCRIPT = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(message)s")
import pyvips
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, configure, process
if sys.argv[1] == "configured":
    configure()
    configure()
picture = pyvips.Image.gaussnoise(400, 300).cast("uchar").jpegsave_buffer()
process(picture, ProcessingOptions(width=100, format="png"), ProcessingSettings())
pyvips.Image.jpegload_buffer(picture[:len(picture) // 2]).avg()
"""


def said(how: str) -> str:
    return output_of(_SCRIPT, how)


class MessagesTests(SynchronousTestCase):
    def test_information_costs_no_turn_of_the_interpreter(self) -> None:
        self.assertIn("INFO VIPS: ", said("as pyvips does"))
        self.assertNotIn("INFO", said("configured"))

    def test_warnings_still_come(self) -> None:
        self.assertIn("WARNING VIPS: ", said("configured"))
