"""Work is cancelled from another thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pyvips
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import RequestTimeout
from imgforge.model import ProcessingOptions
from imgforge.processing import Cancellation, ProcessingSettings, process
from tests.support.images import encoded, smooth

LIMITS = ProcessingSettings(max_src_resolution=0)


class CancellationTests(SynchronousTestCase):
    def test_work_under_way_is_stopped(self) -> None:
        source = bytes(pyvips.Image.black(8000, 8000, bands=3).copy(interpretation="srgb").jpegsave_buffer())
        under_way, cancellation = threading.Event(), Announcing()
        cancellation.under_way = under_way
        outcome: list[object] = []

        def work() -> None:
            try:
                options = ProcessingOptions(blur=250, format="png")
                outcome.append(process(source, options, LIMITS, cancellation=cancellation))
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.assertTrue(under_way.wait(60))
        cancellation.cancel()
        thread.join(60)
        self.assertFalse(thread.is_alive())
        self.assertIsInstance(outcome[0], RequestTimeout)

    def test_work_cancelled_before_it_starts_does_not_start(self) -> None:
        cancellation = Cancellation()
        cancellation.cancel()
        with self.assertRaises(RequestTimeout):
            process(encoded(smooth()), ProcessingOptions(), LIMITS, cancellation=cancellation)

    def test_a_broken_image_that_was_cancelled_is_a_timeout(self) -> None:
        cancellation = Cancellation()
        cancellation.cancel()
        noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3)).astype(np.uint8)
        with self.assertRaises(RequestTimeout):
            process(encoded(noise)[:5000], ProcessingOptions(), LIMITS, cancellation=cancellation)

    def test_cancelling_twice_or_after_the_end_is_allowed(self) -> None:
        cancellation = Cancellation()
        made = process(encoded(smooth()), ProcessingOptions(), LIMITS, cancellation=cancellation)
        cancellation.cancel()
        cancellation.cancel()
        self.assertEqual((made.width, made.height), (96, 64))
        self.assertRaises(RequestTimeout, cancellation.check)

    def test_other_calls_are_not_cancelled(self) -> None:
        first = Cancellation()
        first.cancel()
        made = process(encoded(smooth()), ProcessingOptions(), LIMITS, cancellation=Cancellation())
        self.assertEqual(made.width, 96)

    def test_a_killed_image_yields_no_further_images(self) -> None:
        cancellation = Cancellation()
        image = cancellation.watch(pyvips.Image.black(4000, 4000).gaussblur(20))
        cancellation.cancel()
        self.assertRaises(pyvips.Error, image.copy_memory)


class Announcing(Cancellation):
    """Signals that libvips has begun with pixels: from then on the call is in native code."""

    under_way: threading.Event

    def watch(self, image: Any) -> Any:
        image.set_progress(True)
        image.signal_connect("eval", lambda *_: self.under_way.set())
        return super().watch(image)
