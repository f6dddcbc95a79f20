"""Large pictures take turns: threads wait for memory in order, and stop to when nobody wants the picture any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pyvips
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import RequestTimeout
from imgforge.model import InfoOptions, ProcessingOptions, Trim
from imgforge.processing import Cancellation, PixelBudget, ProcessingSettings, describe, process

_DEADLINE = 20.0


def poll(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds."""
    end = time.monotonic() + _DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.005)


def picture(width: int, height: int, suffix: str = ".jpg") -> bytes:
    image = pyvips.Image.black(width, height, bands=3).copy(interpretation="srgb")
    return bytes(image.write_to_buffer(suffix))


class Noting(PixelBudget):
    """Boundless, and knows what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    @contextmanager
    def reserve(self, size: int, cancellation: Cancellation) -> Iterator[None]:
        self.asked.append(size)
        with super().reserve(size, cancellation):
            yield


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.memory = PixelBudget(100)
        self.order: list[str] = []
        self.pool = ThreadPoolExecutor(8)
        self.addCleanup(self.pool.shutdown)

    def holder(
        self, name: str, size: int, cancellation: Cancellation | None = None
    ) -> tuple[Future[None], threading.Event]:
        """A thread that holds *size* bytes until its event is set; there already, or waiting."""
        gate, waiting = threading.Event(), self.memory.waiting

        def work() -> None:
            with self.memory.reserve(size, cancellation or Cancellation()):
                self.order.append(name)
                gate.wait(_DEADLINE)

        future = self.pool.submit(work)
        poll(lambda: name in self.order or self.memory.waiting > waiting)
        return future, gate

    def test_what_fits_goes_on_at_once(self) -> None:
        gates = [self.holder(name, 50)[1] for name in "ab"]
        self.assertEqual((self.order, self.memory.waiting), (["a", "b"], 0))
        for gate in gates:
            gate.set()

    def test_who_does_not_fit_waits_and_is_not_overtaken(self) -> None:
        (_, first), (_, large), (_, small) = self.holder("a", 50), self.holder("large", 80), self.holder("small", 20)
        self.assertEqual((self.order, self.memory.waiting), (["a"], 2))
        first.set()
        poll(lambda: self.memory.waiting == 0)
        self.assertEqual(sorted(self.order[1:]), ["large", "small"])
        large.set()
        small.set()

    def test_more_than_all_there_is_goes_on_alone(self) -> None:
        (_, small), (_, giant) = self.holder("small", 1), self.holder("giant", 1000)
        self.assertEqual(self.order, ["small"])
        small.set()
        poll(lambda: self.memory.waiting == 0)
        _, after = self.holder("after", 1)
        self.assertEqual((self.order, self.memory.waiting), (["small", "giant"], 1))
        giant.set()
        poll(lambda: self.order == ["small", "giant", "after"])
        after.set()

    def test_who_is_cancelled_leaves_the_queue_and_those_behind_go_on(self) -> None:
        cancellation = Cancellation()
        _, first = self.holder("a", 50)
        large, _ = self.holder("large", 80, cancellation)
        _, small = self.holder("small", 20)
        cancellation.cancel()
        self.assertIsInstance(large.exception(_DEADLINE), RequestTimeout)
        poll(lambda: self.order == ["a", "small"])
        first.set()
        small.set()

    def test_a_failure_gives_back(self) -> None:
        for _ in range(3):
            with self.assertRaises(ZeroDivisionError), self.memory.reserve(1000, Cancellation()):
                raise ZeroDivisionError
        self.assertEqual((self.memory._held, self.memory.waiting), (0, 0))


class EstimateTests(SynchronousTestCase):
    """How much pictures are taken to need: what is asked of the memory while they are made."""

    def asked(self, source: bytes, **options: object) -> int:
        memory = Noting()
        process(source, ProcessingOptions(**options), ProcessingSettings(max_animation_frames=9), pixel_budget=memory)  # type: ignore[arg-type]
        (size,) = memory.asked
        return size

    def test_all_pixels_and_those_of_the_result(self) -> None:
        self.assertEqual(self.asked(picture(400, 300, ".png"), width=100, format="png"), 400 * 300 * 3 + 100 * 75 * 4)

    def test_a_jpeg_is_decoded_smaller(self) -> None:
        self.assertEqual(self.asked(picture(800, 600), width=100, format="jpeg"), 100 * 75 * 3 + 100 * 75 * 4)

    def test_one_that_is_trimmed_is_decoded_in_full(self) -> None:
        source = picture(800, 600)
        self.assertGreater(self.asked(source, width=100, format="jpeg", trim=Trim(10.0)), 800 * 600 * 3)

    def test_a_canvas_counts_as_it_comes_out(self) -> None:
        asked = self.asked(picture(40, 30), width=3000, height=2000, enlarge=True, resizing_type="force", format="png")
        self.assertGreater(asked, 3000 * 2000 * 4)

    def test_all_frames_of_an_animation_count(self) -> None:
        frames = [pyvips.Image.black(40, 30, bands=3).copy(interpretation="srgb") + 40 * number for number in range(4)]
        animation = pyvips.Image.arrayjoin(frames, across=1).cast("uchar").copy(interpretation="srgb")
        animation.set_type(pyvips.GValue.gint_type, "page-height", 30)
        animation.set_type(pyvips.GValue.array_int_type, "delay", [100] * 4)
        animation.set_type(pyvips.GValue.gint_type, "loop", 0)
        source = bytes(animation.gifsave_buffer())
        self.assertGreaterEqual(self.asked(source, width=20, format="gif"), 4 * (40 * 30 * 3 + 20 * 15 * 4))

    def test_what_info_decodes_counts_as_well_and_its_header_does_not(self) -> None:
        for wanted, sizes in ((InfoOptions(), []), (InfoOptions(average=True), [400 * 300 * 3])):
            memory = Noting()
            describe(picture(400, 300), wanted, ProcessingSettings(), pixel_budget=memory)
            self.assertEqual(memory.asked, sizes)

    def test_a_picture_waits_for_its_turn_and_no_longer_than_it_is_wanted(self) -> None:
        memory, cancellation = PixelBudget(1), Cancellation()
        with ThreadPoolExecutor(2) as pool, memory.reserve(1, Cancellation()):
            options, limits = ProcessingOptions(width=20), ProcessingSettings()
            first = pool.submit(
                process, picture(40, 30), options, limits, pixel_budget=memory, cancellation=cancellation
            )
            second = pool.submit(process, picture(40, 30), options, limits, pixel_budget=memory)
            poll(lambda: memory.waiting == 2)
            cancellation.cancel()
            self.assertIsInstance(first.exception(_DEADLINE), RequestTimeout)
            self.assertEqual(memory.waiting, 1)
        self.assertEqual(second.result(_DEADLINE).width, 20)
