"""The names of objects: which are entries, which are purges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.bucket.object_names import SHARDS, ObjectNames

keys = st.binary(min_size=32, max_size=32)
prefixes = st.sampled_from(["", "a", "images/cache", "ab12"])


class NameTests(SynchronousTestCase):
    @given(prefixes, keys)
    def test_an_entry_has_the_name_of_its_key(self, prefix: str, key: bytes) -> None:
        names = ObjectNames(prefix)
        name = names.entry(key)
        self.assertEqual(names.key(name), key)
        self.assertEqual([shard for shard in SHARDS if name.startswith(names.entries(shard))], [key.hex()[0]])
        self.assertTrue(name.startswith(names.entries(key[:20].hex())))
        self.assertFalse(names.is_purge(name))

    def test_other_objects_are_no_entries(self) -> None:
        names = ObjectNames("a")
        hexed = "0" * 64
        for other in (hexed, f"b/{hexed}", f"a/{hexed}0", f"a/{hexed[1:]}", f"a/{'F' * 64}", f"a/x/{hexed}", "a/", ""):
            self.assertIsNone(names.key(other), other)

    @given(prefixes, st.floats(0, 4e9))
    def test_the_names_of_purges_sort_by_time(self, prefix: str, at: float) -> None:
        names = ObjectNames(prefix)
        earlier, later = names.new_purge(at), names.new_purge(at + 0.01)
        self.assertLess(earlier, later)
        self.assertTrue(names.is_purge(earlier))
        self.assertNotEqual(names.new_purge(at), earlier)
        self.assertIsNone(names.key(earlier))
        self.assertFalse(names.is_purge(names.swept))

    def test_no_time_makes_another_name(self) -> None:
        names = ObjectNames("")
        for at in (-5.0, 1e30):
            self.assertTrue(names.is_purge(names.new_purge(at)))
