"""Verdicts on two answers, with pictures that are drawn here (bench/image_comparison.py)."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from bench.compare import CaseResult, worst_first
from bench.comparison_grid import Case
from bench.image_comparison import VERDICTS, Thresholds, Verdict, compare_answers, decode, pixel_differences
from bench.load import Answer
from bench.pictures import PICTURES, Pixels, scene

_LIMITS = Thresholds(mean=1.0, tile=8.0)


def _png(pixels: Pixels) -> bytes:
    output = io.BytesIO()
    Image.fromarray(pixels).save(output, "PNG")
    return output.getvalue()


def _ok(body: bytes, content_type: str = "image/png") -> Answer:
    return Answer(200, content_type, body)


def _verdict(ours: Pixels, peer: Pixels) -> Verdict:
    return compare_answers(_ok(_png(ours)), _ok(_png(peer)), _LIMITS)


class PixelTests(SynchronousTestCase):
    """Images of the same size."""

    def test_equal_pixels_in_different_bytes_are_the_same(self) -> None:
        picture = scene(64, 48)
        peer = io.BytesIO()
        Image.fromarray(picture).save(peer, "PNG", compress_level=0)
        limits = Thresholds(weight=1.0)
        verdict = compare_answers(_ok(_png(picture)), _ok(peer.getvalue()), limits)
        self.assertEqual((verdict.name, verdict.mean), ("same", 0.0))

    def test_equal_pixels_in_a_much_longer_body_differ_in_weight(self) -> None:
        picture = np.full((90, 90, 3), 77, np.uint8)
        bloated = io.BytesIO()
        Image.fromarray(picture).save(bloated, "PNG", compress_level=0)
        self.assertEqual(compare_answers(_ok(bloated.getvalue()), _ok(_png(picture)), _LIMITS).name, "weight differs")

    def test_one_level_more_everywhere_is_a_mean_difference_of_one(self) -> None:
        flat = np.full((40, 50, 3), 100, np.uint8)
        self.assertEqual(_verdict(flat + np.uint8(1), flat).mean, 1.0)

    def test_shift_by_one_pixel_differs(self) -> None:
        picture = scene(120, 90, grain=30)
        self.assertEqual(_verdict(np.roll(picture, 1, axis=1), picture).name, "pixels differ")

    def test_small_spot_differs_though_the_mean_is_below_its_limit(self) -> None:
        picture = scene(400, 300)
        spotted = picture.copy()
        spotted[290:, 390:] = 255 - spotted[290:, 390:]
        verdict = _verdict(spotted, picture)
        self.assertLess(verdict.mean or 0.0, _LIMITS.mean)
        self.assertEqual(verdict.name, "pixels differ")

    def test_colours_of_transparent_pixels_are_not_compared(self) -> None:
        ours, peer = np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 4), np.uint8)
        ours[:, :, 0] = 255
        self.assertEqual(_verdict(ours, peer).name, "same")

    def test_opaque_alpha_channel_is_a_trait(self) -> None:
        picture = scene(30, 20)
        opaque = np.dstack([picture, np.full((20, 30), 255, np.uint8)])
        verdict = _verdict(opaque, picture)
        self.assertEqual((verdict.name, verdict.reason), ("traits differ", "+alpha"))

    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 255))
    def test_uniform_difference_is_the_same_in_the_mean_and_in_every_tile(
        self, width: int, height: int, level: int
    ) -> None:
        black = decode(_png(np.zeros((height, width, 3), np.uint8)))
        grey = decode(_png(np.full((height, width, 3), level, np.uint8)))
        mean, tile = pixel_differences(grey, black)
        self.assertAlmostEqual(mean, level, places=3)
        self.assertAlmostEqual(tile, mean, places=3)


class OtherDifferenceTests(SynchronousTestCase):
    """Differences other than those of pixels, and the order of results."""

    def test_two_statuses_of_class_4xx_are_a_lesser_difference(self) -> None:
        self.assertEqual(compare_answers(Answer(400, "", b""), Answer(404, "", b""), _LIMITS).name, "code differs")
        self.assertEqual(compare_answers(Answer(500, "", b""), Answer(404, "", b""), _LIMITS).name, "status differs")
        self.assertEqual(compare_answers(Answer(500, "", b""), Answer(502, "", b""), _LIMITS).name, "status differs")

    def test_equal_error_statuses_are_the_same_whatever_their_bodies(self) -> None:
        self.assertEqual(
            compare_answers(Answer(404, "", b"no"), Answer(404, "text/plain", b"never"), _LIMITS).name, "same"
        )

    def test_type_is_compared_before_size_and_size_before_pixels(self) -> None:
        small, large = _png(scene(10, 10)), _png(scene(11, 10))
        self.assertEqual(compare_answers(_ok(small, "image/webp"), _ok(large), _LIMITS).name, "type differs")
        verdict = compare_answers(_ok(small), _ok(large), _LIMITS)
        self.assertEqual((verdict.name, verdict.reason), ("size differs", "10x10 for 11x10"))

    def test_animation_differs_from_its_first_frame(self) -> None:
        image = PICTURES["animation.gif"]()
        still = io.BytesIO()
        Image.open(io.BytesIO(image)).convert("RGB").save(still, "GIF")
        verdict = compare_answers(_ok(still.getvalue(), "image/gif"), _ok(image, "image/gif"), _LIMITS)
        self.assertEqual(verdict.name, "animation differs")

    def test_exif_orientation_is_a_trait(self) -> None:
        oriented = PICTURES["exif6.jpg"]()
        plain = PICTURES["exif1.jpg"]()
        verdict = compare_answers(_ok(oriented), _ok(plain), _LIMITS)
        self.assertEqual(verdict.name, "traits differ")
        self.assertIn("+orientation 6", verdict.reason)

    def test_body_that_cannot_be_decoded_differs(self) -> None:
        self.assertEqual(compare_answers(_ok(b"text"), _ok(_png(scene(9, 9))), _LIMITS).name, "pixels differ")

    def test_results_are_sorted_by_verdict_and_then_by_the_worst_tile(self) -> None:
        verdicts = [
            Verdict("pixels differ", tile=9.0),
            Verdict("same"),
            Verdict("status differs"),
            Verdict("pixels differ", tile=90.0),
        ]
        rows = worst_first([CaseResult(Case("group", "/path"), verdict) for verdict in verdicts])
        self.assertEqual([row.verdict for row in rows], [verdicts[2], verdicts[3], verdicts[0]])
        self.assertEqual({verdict.name for verdict in verdicts} - set(VERDICTS), set())
