"""Fields of settings: how configured values are read, and what a mistake is told."""

from typing import Annotated, Any, Literal

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config.fields import Bounds, Checks, Reads, Section, SettingMistakes, setting


class Sample(Section):
    """A section with a setting of each kind."""

    number = "no setting"
    size: int = setting(5, ge=1, le=100, description="Bytes.")
    share: Annotated[float, Bounds(gt=0, le=1)] = setting(1, description="A fraction.")
    on: bool = setting(False, description="A switch.")
    region: str = setting("", pattern=r"^[a-z0-9-]*$", description="A region.")
    name: str = setting("a", pattern="^[a-z]*$", min_length=1, max_length=3, description="A name.")
    kind: Literal["", "disk"] = setting("", description="A kind.")
    maybe: bool | Literal[""] = setting("", description="A switch, or nothing.")
    words: Annotated[tuple[str, ...], Reads(str.split), Checks(lambda words: words[:2])] = setting(
        "a b c", min_length=1, description="Words."
    )


# The types are read when the class is made, so that the annotations above must be no texts.
assert Sample.fields["share"].annotation is float


class FieldTests(SynchronousTestCase):
    def wrong(self, **values: object) -> str:
        with self.assertRaises(SettingMistakes) as caught:
            Sample(values)
        (allowed,) = caught.exception.by_name.values()
        return str(allowed)

    def assert_wrong(self, name: str, values: list[Any], allowed: str) -> None:
        for value in values:
            self.assertEqual(self.wrong(**{name: value}), allowed, value)

    def test_defaults_are_read_as_configured_values_are(self) -> None:
        sample = Sample({})
        self.assertEqual((sample.size, sample.share, sample.words), (5, 1.0, ["a", "b"]))
        self.assertIsInstance(sample.share, float)

    def test_numbers_come_as_text_too(self) -> None:
        for text, number in (("7", 7), (" 7 ", 7), ("+7", 7), ("7.0", 7), ("1_0", 10), (7.0, 7)):
            self.assertEqual(Sample({"size": text}).size, number)
        self.assertEqual(Sample({"share": "5e-1"}).share, 0.5)

    def test_mistake_names_the_bounds(self) -> None:
        self.assert_wrong(
            "size",
            [0, 101, "many", "1.5", 1.5, True, None, "", "9" * 5000, 10**400, "٣", [1]],
            allowed="must be an integer from 1 to 100",
        )
        self.assert_wrong(
            "share", [0, 2, "nan", "inf", "x", True, None, 10**400, "٣"], allowed="must be a number above 0 to 1"
        )

    def test_switches(self) -> None:
        for text in ("1", "true", "YES", "on", "t", 1, True):
            self.assertIs(Sample({"on": text}).on, True)
        for text in ("0", "False", "no", "off", "f", "N", 0):
            self.assertIs(Sample({"on": text}).on, False)
        self.assert_wrong("on", ["", "2", " true", 2, 0.5, None, []], allowed="must be true or false")
        self.assertEqual((Sample({"maybe": ""}).maybe, Sample({"maybe": "no"}).maybe), ("", False))
        self.assertEqual(self.wrong(maybe="x"), "must be true, false or empty")

    def test_texts(self) -> None:
        self.assertEqual(self.wrong(name=1), "must be a text")
        self.assertEqual(self.wrong(name=""), "must have 1 to 3 characters")
        self.assertEqual(self.wrong(name="a\n"), "must match the pattern ^[a-z]*$")  # which `$` itself would take
        self.assertEqual(self.wrong(region="A"), "must be lower-case letters, digits and hyphens")
        self.assertEqual(self.wrong(name="a\0"), "must not contain NUL")
        self.assertEqual(self.wrong(kind="tape"), "must be one of empty, disk")
        self.assertEqual(self.wrong(words=""), "must have at least 1 values")

    def test_all_mistakes_come_at_once(self) -> None:
        with self.assertRaises(SettingMistakes) as caught:
            Sample({"size": 0, "on": "x"})
        self.assertEqual(set(caught.exception.by_name), {"size", "on"})

    def test_values_are_frozen(self) -> None:
        sample = Sample({})
        with self.assertRaises(AttributeError):
            sample.size = 3
        self.assertEqual(sample, Sample({}))
        self.assertNotEqual(sample, Sample({"size": 6}))

    @given(
        st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.text())),
        st.sampled_from(sorted(Sample.fields)),
    )
    def test_nothing_raises_anything_but_a_mistake(self, value: Any, name: str) -> None:
        if name == "words" and not isinstance(value, str):  # its reader takes texts only
            return
        try:
            Sample({name: value})
        except SettingMistakes as error:
            self.assertTrue(error.by_name[name].startswith("must "))
