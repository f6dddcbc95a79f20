"""Positions, and gravities before rotation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import Crop, Gravity
from imgforge.processing.gravity import crop_gravity, gravity_before_rotation, position
from tests.support.effect_case import pixels, png

EDGES = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe")
TYPES = (*EDGES, "ce")
CORNERS = ("noea", "nowe", "soea", "sowe")
TURNS = st.sampled_from((0, 90, 180, 270))


class CropTests(SynchronousTestCase):
    def test_a_crop_without_a_gravity_type_has_the_requests(self) -> None:
        own = Gravity("so", 1, 2)
        for crop, expected in (
            (None, own),
            (Crop(9, 9), own),
            (Crop(9, 9, Gravity("no", 3)), Gravity("no", 3)),
            (Crop(9, 9, Gravity("", 5, 6)), Gravity("so", 5, 6)),
        ):
            self.assertEqual(crop_gravity(crop, own), expected)

    def test_offsets_of_a_crop_move_the_kept_area(self) -> None:
        bars = np.tile(np.arange(40, dtype=np.uint8), (10, 1))
        for text, first in (("c:10:10::5", 21), ("g:we/c:10:10::5", 5), ("g:ea/c:10:10::5", 25), ("c:10:10", 16)):
            self.assertEqual(pixels(png(bars), text)[0, 0, 0], first, text)


class PositionTests(SynchronousTestCase):
    @settings(max_examples=300, deadline=None)
    @given(
        st.tuples(st.integers(1, 500), st.integers(1, 500)),
        st.tuples(st.integers(1, 500), st.integers(1, 500)),
        st.sampled_from(TYPES),
        st.floats(-600, 600),
        st.floats(-600, 600),
        st.floats(0.1, 4),
    )
    def test_the_inner_box_lies_inside(
        self, outer: tuple[int, int], inner: tuple[int, int], kind: str, x: float, y: float, scale: float
    ) -> None:
        inner = min(outer[0], inner[0]), min(outer[1], inner[1])
        left, top = position(outer, inner, Gravity(kind, x, y), scale)
        self.assertTrue(0 <= left <= outer[0] - inner[0])
        self.assertTrue(0 <= top <= outer[1] - inner[1])

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_a_focus_point_lies_within_the_kept_area(self, x: float, y: float) -> None:
        left, top = position((100, 80), (20, 10), Gravity("fp", x, y), 1.0)
        self.assertTrue(left - 0.5 <= 100 * x <= left + 20.5)
        self.assertTrue(top - 0.5 <= 80 * y <= top + 10.5)

    def test_edges_and_offsets(self) -> None:
        places = {
            ("nowe", 0, 0): (0, 0),
            ("nowe", 3, 4): (3, 4),
            ("soea", 3, 4): (77, 66),
            ("noea", 3, 4): (77, 4),
            ("sowe", 0.1, 0.25): (10, 50),
            ("no", 5, 0): (45, 0),
            ("ea", 0, 0): (80, 35),
            ("ce", 0, 0): (40, 35),
            ("ce", -7, 7): (33, 42),
        }
        for (kind, x, y), wanted in places.items():
            # The differences are 80 and 70: (80 + 1) / 2 and (70 + 1) / 2 round to the even neighbours 40 and 36.
            wanted = (wanted[0], wanted[1] + 1) if kind in {"ea", "ce"} else wanted
            self.assertEqual(position((100, 80), (20, 10), Gravity(kind, x, y), 1.0), wanted, (kind, x, y))

    def test_only_offsets_in_pixels_are_scaled_by_dpr(self) -> None:
        self.assertEqual(position((100, 80), (20, 10), Gravity("nowe", 6, 0.25), 2.0), (12, 20))

    def test_overflow_leaves_a_pixel(self) -> None:
        for far, wanted in ((-900, (-19, -9)), (900, (99, 79))):
            self.assertEqual(position((100, 80), (20, 10), Gravity("nowe", far, far), 1.0, overflow=True), wanted)


class BeforeRotationTests(SynchronousTestCase):
    """Cropping by the gravity before rotation and then rotating equals rotating and then cropping."""

    outer = (60, 36)

    def cropped(self, picture: np.ndarray, inner: tuple[int, int], gravity: Gravity) -> np.ndarray:
        left, top = position((picture.shape[1], picture.shape[0]), inner, gravity, 1.0)
        return picture[top : top + inner[1], left : left + inner[0]]

    def turned(self, picture: np.ndarray, angle: int, flip_x: bool, flip_y: bool) -> np.ndarray:
        picture = np.rot90(picture, -angle // 90)
        picture = picture[:, ::-1] if flip_x else picture
        return picture[::-1] if flip_y else picture

    def both(
        self, inner: tuple[int, int], gravity: Gravity, angle: int, flip_x: bool, flip_y: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        picture = np.arange(self.outer[0] * self.outer[1]).reshape(self.outer[1], self.outer[0])
        wanted = self.cropped(self.turned(picture, angle, flip_x, flip_y), inner, gravity)
        stored = inner if angle % 180 == 0 else inner[::-1]
        before = self.cropped(picture, stored, gravity_before_rotation(gravity, angle, flip_x, flip_y))
        return self.turned(before, angle, flip_x, flip_y), wanted

    @settings(max_examples=400, deadline=None)
    @given(
        st.sampled_from(TYPES),
        st.integers(-12, 12),
        st.integers(-12, 12),
        TURNS,
        st.booleans(),
        st.booleans(),
    )
    def test_edges_corners_and_the_centre(
        self, kind: str, x: int, y: int, angle: int, flip_x: bool, flip_y: bool
    ) -> None:
        # Differences that are multiples of four have the same middle from both ends.
        got, wanted = self.both((20, 12), Gravity(kind, x, y), angle, flip_x, flip_y)
        np.testing.assert_array_equal(got, wanted)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(CORNERS), st.floats(0, 0.9), st.floats(0, 0.9), TURNS, st.booleans(), st.booleans())
    def test_corners_with_fractional_offsets(
        self, kind: str, x: float, y: float, angle: int, flip_x: bool, flip_y: bool
    ) -> None:
        got, wanted = self.both((7, 5), Gravity(kind, x, y), angle, flip_x, flip_y)
        np.testing.assert_array_equal(got, wanted)

    @settings(max_examples=200, deadline=None)
    @given(st.floats(0, 1), st.floats(0, 1), TURNS, st.booleans(), st.booleans())
    def test_focus_points_to_the_pixel(self, x: float, y: float, angle: int, flip_x: bool, flip_y: bool) -> None:
        got, wanted = self.both((20, 12), Gravity("fp", x, y), angle, flip_x, flip_y)
        width = self.outer[0]
        apart = np.abs(np.array(np.divmod(got[0, 0], width)) - np.array(np.divmod(wanted[0, 0], width)))
        self.assertLessEqual(apart.max(), 1)  # a half may round to the other side

    def test_smart_stays_smart(self) -> None:
        self.assertEqual(gravity_before_rotation(Gravity("sm"), 90, True, True).type, "sm")

    def test_a_rotation_by_360_degrees_changes_nothing(self) -> None:
        for kind in EDGES:
            self.assertEqual(gravity_before_rotation(Gravity(kind, 3, 4), 360, False, False), Gravity(kind, 3, 4))
