"""The private names of pyvips exist, and do what imgforge relies on."""

from __future__ import annotations

import logging

import pyvips
from PIL.PngImagePlugin import PngInfo
from twisted.trial.unittest import SynchronousTestCase

from imgforge.processing.pyvips_compat import RELIED_ON, field_names, log_warnings_only, remove_field
from imgforge.processing.vips_image import load
from tests.support.fresh_python import output_of
from tests.support.pictures import encode, gradient

# Each line of libvips frees an image of a broken file, which has a line of its own.
NESTED_LINES = """
import gc, logging
import pyvips
from imgforge.processing.pyvips_compat import log_warnings_only
from tests.support.pictures import encode, gradient

class Collector(logging.Handler):
    def emit(self, record):
        freed.append(gc.collect())

def read_half():
    image = pyvips.Image.new_from_buffer(half, "", access="sequential", fail_on="none")
    image.avg()
    return image  # which logs a line when it is freed

gc.disable()
log_warnings_only()
freed, body = [], encode(gradient(800, 600), "JPEG")
half = body[: len(body) // 2]
logging.getLogger("pyvips").addHandler(Collector())
for _ in range(20):
    cycle = [read_half()]
    cycle.append(cycle)
    read_half()
print("nested" if any(freed) else "no image was freed while libvips logged")
"""


class PyvipsTests(SynchronousTestCase):
    def test_names_exist(self) -> None:
        for name, (why, public_hook) in RELIED_ON.items():
            self.assertTrue(hasattr(pyvips, name), name)
            self.assertTrue(why and public_hook)

    def test_images_have_no_other_attributes_than_those_that_an_image_by_its_address_has(self) -> None:
        image = pyvips.Image.black(1, 1)
        slots = {name for kind in type(image).__mro__ for name in getattr(kind, "__slots__", ())}
        self.assertEqual(slots, {"_references", "_handles", "pointer", "vobject", "gobject"})
        direct = load("pngload_buffer", encode(gradient(4, 4), "PNG"))
        for name in slots:
            self.assertEqual(type(getattr(direct, name)), type(getattr(image, name)))

    def test_fields_are_listed_and_removed_also_where_their_names_are_not_utf8(self) -> None:
        comments = PngInfo()
        comments.add_text("caf\xe9", "text")
        comments.add_text("plain", "text")
        image = pyvips.Image.new_from_buffer(encode(gradient(4, 4), "PNG", pnginfo=comments), "").copy()
        names = field_names(image)
        self.assertIn("png-comment-0-caf\udce9", names)
        remove_field(image, "png-comment-0-caf\udce9")
        self.assertEqual(set(names) - set(field_names(image)), {"png-comment-0-caf\udce9"})

    def test_information_of_libvips_is_not_logged(self) -> None:
        log_warnings_only()
        with self.assertLogs("pyvips", logging.DEBUG) as caught:
            logging.getLogger("pyvips").debug("at least this")
            pyvips.Image.thumbnail_buffer(encode(gradient(400, 300), "JPEG"), 50).jpegsave_buffer()
        self.assertNotIn(logging.INFO, {record.levelno for record in caught.records})

    def test_image_that_is_freed_while_libvips_logs_may_log_too(self) -> None:
        self.assertEqual(output_of(NESTED_LINES), "nested")

    def test_memory_of_an_image_is_counted(self) -> None:
        counted = output_of(
            "import pyvips; from imgforge.processing.pyvips_compat import usage; before = usage()['memory_bytes'];"
            "image = pyvips.Image.black(1000, 1000).copy_memory(); print(int(usage()['memory_bytes'] - before))"
        )
        self.assertGreaterEqual(int(counted), 1_000_000)
