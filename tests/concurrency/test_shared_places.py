"""Processes share places: who came first is the next, heavy work leaves one, and who is gone has none."""

from __future__ import annotations

import os
import select

from twisted.trial.unittest import SynchronousTestCase

from imgforge.concurrency import Bell, Places, PlaceTable


class PlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = PlaceTable(3)
        self.addCleanup(self.table.close)
        self.one, self.other, self.third = (self.table.places(slot, 2) for slot in range(3))

    def test_places_are_those_of_all_processes_together(self) -> None:
        self.one.take(heavy=False)
        self.assertTrue(self.other.free(heavy=False))
        self.other.take(heavy=False)
        self.assertEqual([places.free(heavy=False) for places in (self.one, self.other, self.third)], [False] * 3)
        self.one.give_back(heavy=False)
        self.assertTrue(self.third.free(heavy=True))

    def test_heavy_work_leaves_a_place_to_light_work_only(self) -> None:
        self.one.take(heavy=True)
        self.other.take(heavy=True)
        self.assertEqual((self.third.free(heavy=True), self.third.free(heavy=False)), (False, True))
        self.third.take(heavy=False)
        self.assertFalse(self.third.free(heavy=False))

    def test_work_that_becomes_heavy_makes_room_for_light_work(self) -> None:
        for places in (self.one, self.other):
            places.take(heavy=False)
        self.assertFalse(self.third.free(heavy=False))
        self.one.become_heavy()
        self.assertFalse(self.third.free(heavy=False))
        self.other.become_heavy()
        self.assertTrue(self.third.free(heavy=False))

    def test_a_lone_place_is_left_to_light_work_beside_heavy_work(self) -> None:
        alone = Places(1)
        alone.take(heavy=True)
        self.assertEqual((alone.free(heavy=True), alone.free(heavy=False)), (False, True))

    def test_who_came_first_is_first(self) -> None:
        self.one.announce(5.0, None)
        self.other.announce(None, 4.0)
        self.assertEqual([self.third.is_first(came) for came in (3.0, 4.5, 6.0)], [True, False, False])
        self.assertEqual((self.one.is_first(5.0), self.other.is_first(4.0)), (False, True))

    def test_nobody_is_behind_work_for_which_there_is_no_place(self) -> None:
        self.one.take(heavy=True)
        self.one.take(heavy=True)
        self.one.announce(None, 1.0)
        self.assertTrue(self.other.is_first(2.0))
        self.third.announce(1.5, None)
        self.assertFalse(self.other.is_first(2.0))

    def test_places_of_a_process_that_is_gone_are_free(self) -> None:
        self.one.take(heavy=False)
        self.one.take(heavy=True)
        self.one.announce(1.0, 1.0)
        self.table.leave(0)
        self.other.take(heavy=False)
        self.assertEqual((self.other.free(heavy=True), self.other.is_first(2.0)), (True, True))

    def test_successor_in_a_slot_starts_with_none(self) -> None:
        self.one.take(heavy=False)
        self.table.places(0, 2)
        self.other.take(heavy=False)
        self.assertTrue(self.other.free(heavy=False))

    def test_another_process_sees_the_same_rows_by_the_descriptors(self) -> None:
        copies = tuple(os.dup(descriptor) for descriptor in self.table.descriptors)
        another = PlaceTable(3, (copies[0], copies[1]))
        self.addCleanup(another.close)
        seen = another.places(2, 2)
        self.one.take(heavy=False)
        self.other.take(heavy=False)
        self.assertFalse(seen.free(heavy=False))

    def test_others_change_with_what_they_do_and_not_with_what_one_does(self) -> None:
        before = self.one.others()
        self.one.take(heavy=False)
        self.assertEqual(self.one.others(), before)
        self.other.announce(1.0, None)
        self.assertNotEqual(self.one.others(), before)


class BellTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = PlaceTable(2)
        self.addCleanup(self.table.close)
        self.one, self.other = (self.table.places(slot, 1) for slot in range(2))
        self.bells = [Bell(self.table.descriptors[1]) for _ in range(2)]
        for bell in self.bells:
            self.addCleanup(bell.close)

    def ringing(self) -> list[Bell]:
        return list(select.select(self.bells, [], [], 0)[0])

    def test_each_hears_every_ring_once(self) -> None:
        self.other.announce(1.0, None)
        for _ in range(2):
            self.one.offer()
            self.one.offer()
            self.assertEqual(self.ringing(), self.bells)
            self.bells[0].heard()
            self.assertEqual(self.ringing(), self.bells[1:])
            self.bells[1].heard()
            self.assertEqual(self.ringing(), [])

    def test_nothing_rings_for_want_of_a_place_or_of_work(self) -> None:
        self.one.offer()
        self.one.take(heavy=False)
        self.other.announce(1.0, None)
        self.one.offer()
        self.assertEqual(self.ringing(), [])

    def test_end_of_a_process_rings(self) -> None:
        self.table.leave(0)
        self.assertEqual(self.ringing(), self.bells)
