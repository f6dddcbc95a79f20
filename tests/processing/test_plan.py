"""Sizes, against the reference in exact fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import ResultTooLarge
from imgforge.model import Crop, Extend, Padding, ProcessingOptions, Size
from imgforge.processing import Geometry, Plan, geometry, plan
from imgforge.processing.rounding import half_away, half_even, min_nonzero
from tests.support.geometry import Layout, layout

SIDES = st.integers(1, 5000)
ASKED = st.one_of(st.just(0), st.integers(1, 6000))
FACTORS = st.sampled_from((0.1, 0.3, 0.5, 0.75, 1.0, 1.0, 1.3, 2.0, 3.0))
CROP_SIDES = st.one_of(st.just(0.0), st.floats(0.01, 0.99), st.integers(1, 6000).map(float))
SPACE = st.integers(0, 90)

OPTIONS = st.builds(
    ProcessingOptions,
    resizing_type=st.sampled_from(("fit", "fill", "fill-down", "force", "auto")),
    width=ASKED,
    height=ASKED,
    min_width=ASKED,
    min_height=ASKED,
    zoom_x=FACTORS,
    zoom_y=FACTORS,
    dpr=st.sampled_from((0.5, 1.0, 1.0, 1.5, 2.0, 3.0)),
    enlarge=st.booleans(),
    extend=st.builds(Extend, st.booleans()),
    extend_aspect_ratio=st.builds(Extend, st.booleans()),
    crop=st.one_of(st.none(), st.builds(Crop, CROP_SIDES, CROP_SIDES)),
    padding=st.one_of(st.none(), st.builds(Padding, SPACE, SPACE, SPACE, SPACE)),
    rotate=st.sampled_from((0, 90, 180, 270)),
)


class PlanTests(SynchronousTestCase):
    def assert_same(self, made: Plan, wanted: Layout, options: ProcessingOptions) -> None:
        self.assertEqual((made.source.width, made.source.height), wanted.source)
        self.assertEqual((made.scaled.width, made.scaled.height), wanted.scaled)
        self.assertEqual((made.target.width, made.target.height), wanted.target)
        self.assertApproximates(made.dpr, float(wanted.dpr), 1e-9)
        canvas = made.canvas(options)
        self.assertEqual((canvas.width, canvas.height), wanted.canvas)

    @settings(max_examples=500, deadline=None)
    @given(SIDES, SIDES, OPTIONS, st.sampled_from(range(1, 9)), st.booleans())
    @example(300, 1, ProcessingOptions(width=10), 1, False)
    def test_every_size_equals_the_reference(
        self, width: int, height: int, options: ProcessingOptions, orientation: int, vector: bool
    ) -> None:
        source = geometry(width, height, orientation, auto_rotate=True, vector=vector)
        turned = (orientation >= 5) != (options.rotate % 180 == 90)
        seen = (height, width) if turned else (width, height)
        wanted = layout(*seen, options, vector=vector)
        assume(not wanted.ambiguous)
        # A padding that dpr makes half a pixel may fall on either side in floating point.
        around = options.padding or Padding()
        halves = (side * wanted.dpr % 1 for side in (around.top, around.right, around.bottom, around.left))
        assume(all(abs(half - Fraction(1, 2)) > 1e-9 for half in halves))
        self.assert_same(plan(source, options), wanted, options)

    @settings(max_examples=300, deadline=None)
    @given(SIDES, SIDES, OPTIONS)
    def test_no_side_is_below_one_pixel(self, width: int, height: int, options: ProcessingOptions) -> None:
        made = plan(Geometry(width, height), options)
        canvas = made.canvas(options)
        self.assertGreaterEqual(min(made.scaled.width, made.scaled.height, canvas.width, canvas.height), 1)

    @settings(max_examples=200, deadline=None)
    @given(SIDES, SIDES, st.integers(1, 6000), st.integers(1, 6000))
    def test_fit_lies_within_the_box_and_fill_covers_it(self, width: int, height: int, w: int, h: int) -> None:
        fit = ProcessingOptions(width=w, height=h, enlarge=True)
        small = plan(Geometry(width, height), fit).scaled
        self.assertLessEqual(small.width, max(1, w))
        self.assertLessEqual(small.height, max(1, h))
        large = plan(Geometry(width, height), replace(fit, resizing_type="fill")).scaled
        self.assertGreaterEqual(large.width, w)
        self.assertGreaterEqual(large.height, h)

    @settings(max_examples=200, deadline=None)
    @given(SIDES, SIDES, OPTIONS)
    def test_the_limit_is_on_the_final_canvas(self, width: int, height: int, options: ProcessingOptions) -> None:
        source = Geometry(width, height)
        canvas = plan(source, options).canvas(options)
        longest = max(canvas.width, canvas.height)
        plan(source, options, max_dimension=longest)
        if longest > 1:
            with self.assertRaises(ResultTooLarge) as caught:
                plan(source, options, max_dimension=longest - 1)
            self.assertIn(f"{canvas.width}x{canvas.height}", caught.exception.message)

    def test_without_options_nothing_changes(self) -> None:
        made = plan(Geometry(123, 45), ProcessingOptions())
        self.assertEqual((made.scaled, made.scale_x, made.scale_y), (Size(123, 45), 1.0, 1.0))

    def test_padding_is_not_scaled_by_dpr_where_the_image_may_not_grow(self) -> None:
        options = ProcessingOptions(dpr=2.0, padding=Padding(10, 10, 10, 10))
        self.assertEqual(plan(Geometry(100, 100), options).canvas(options), Size(120, 120))
        grows = replace(options, enlarge=True)
        self.assertEqual(plan(Geometry(100, 100), grows).canvas(grows), Size(240, 240))

    def test_half_a_pixel_of_padding_rounds_to_even(self) -> None:
        options = ProcessingOptions(dpr=1.5, enlarge=True, padding=Padding(1, 3, 5, 7))  # 1.5, 4.5, 7.5, 10.5
        self.assertEqual(plan(Geometry(100, 100), options).canvas(options), Size(150 + 4 + 10, 150 + 2 + 8))

    def test_an_unrequested_side_follows_the_other(self) -> None:
        for kind in ("fit", "fill", "fill-down", "auto"):
            options = ProcessingOptions(resizing_type=kind, width=50)
            self.assertEqual(plan(Geometry(200, 100), options).scaled, Size(50, 25), kind)
        options = ProcessingOptions(resizing_type="force", width=50)
        self.assertEqual(plan(Geometry(200, 100), options).scaled, Size(50, 100))


class GeometryTests(SynchronousTestCase):
    def test_orientations_are_rotations_and_flips(self) -> None:
        known = {1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True)}
        known |= {5: (90, True), 6: (90, False), 7: (270, True), 8: (270, False)}
        for orientation, (angle, flip) in known.items():
            made = geometry(3, 2, orientation, auto_rotate=True)
            self.assertEqual((made.angle, made.flip), (angle, flip), orientation)
            self.assertEqual(geometry(3, 2, orientation, auto_rotate=False), Geometry(3, 2))

    def test_axes_swap_for_odd_multiples_of_90_degrees(self) -> None:
        for orientation, rotate in product(range(1, 9), (0, 90, 180, 270)):
            source = geometry(30, 20, orientation, auto_rotate=True)
            made = plan(source, ProcessingOptions(rotate=rotate))
            odd = (orientation >= 5) + (rotate in {90, 270}) == 1
            self.assertEqual((made.swapped, made.source), (odd, Size(20, 30) if odd else Size(30, 20)))


class RoundingTests(SynchronousTestCase):
    def test_sizes_round_halves_away_from_zero(self) -> None:
        values = {0.5: 1, 1.5: 2, 2.5: 3, 2.4: 2, -0.5: -1, -2.5: -3, -2.4: -2, 0.0: 0, 7.0: 7}
        self.assertEqual({value: half_away(value) for value in values}, values)

    def test_positions_round_halves_to_even(self) -> None:
        values = {0.5: 0, 1.5: 2, 2.5: 2, 2.6: 3, -0.5: 0, -1.5: -2, -2.5: -2}
        self.assertEqual({value: half_even(value) for value in values}, values)

    @given(st.floats(-1e6, 1e6))
    @example(0.49999999999999994)
    @example(-0.49999999999999994)
    def test_both_are_at_most_half_a_pixel_off(self, value: float) -> None:
        self.assertLessEqual(abs(half_away(value) - value), 0.5)
        self.assertLessEqual(abs(half_even(value) - value), 0.5)

    def test_zero_is_an_unrequested_size(self) -> None:
        self.assertEqual([min_nonzero(*pair) for pair in ((3, 5), (0, 5), (3, 0), (0, 0))], [3, 5, 3, 0])
