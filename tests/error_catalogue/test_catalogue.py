"""Every message that the code can raise is in the catalogue, and everything in the catalogue is raised."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge import errors
from imgforge.config import Settings
from imgforge.error_catalogue import CHAPTERS, entry_of
from imgforge.errors import BadOption, ImgforgeError, NotAnImage, OriginFailed, Unreadable
from tests.support.error_messages import raised_messages

ENTRIES = [entry for _, _, entries in CHAPTERS for entry in entries]


class CatalogueTests(SynchronousTestCase):
    def test_every_message_has_an_entry_and_every_entry_is_raised(self) -> None:
        raised = {(one.error, one.message): one.place for one in raised_messages()}
        listed = {(kind.__name__, message) for entry in ENTRIES for kind in entry.errors for message in entry.messages}
        made = {kind for kind, _ in raised}
        missing = [
            f"{place}: {kind}({message!r})"
            for (kind, message), place in raised.items()
            if (kind, message) not in listed
        ]
        self.assertEqual(missing, [], "not in imgforge/error_catalogue/")
        texts = {message for _, message in raised}
        self.assertEqual([one for entry in ENTRIES for one in entry.messages if one not in texts], [], "raised nowhere")
        unused = [
            f"{entry.anchor}: {kind.__name__}"
            for entry in ENTRIES
            for kind in entry.errors
            if kind.__name__ not in made
        ]
        self.assertEqual(unused, [])

    def test_every_raised_message_is_found_again(self) -> None:
        for kind, message, place in raised_messages():
            text = message.replace("{}", "x")
            error: ImgforgeError = Unreadable(400, text) if kind == "Unreadable" else getattr(errors, kind)(text)
            entry = entry_of(error)
            self.assertTrue(entry is not None and message in entry.messages, f"{place}: {text}")

    def test_anchors_are_unique_and_settings_exist(self) -> None:
        anchors = [entry.anchor for entry in ENTRIES]
        self.assertEqual(len(anchors), len(set(anchors)))
        for entry in ENTRIES:
            self.assertEqual([name for name in entry.settings if name not in Settings.fields], [], entry.anchor)
            for text in (entry.cause, entry.cure):
                self.assertRegex(text, r"^[A-Z`/].*\.$", entry.anchor)
            self.assertTrue(all(400 <= status < 600 for status in entry.statuses))

    def test_the_most_specific_message_is_found(self) -> None:
        for error, anchor in (
            (NotAnImage("the source image is broken: it ends too early"), "truncated-image"),
            (NotAnImage("the source image is broken: it cannot be decoded"), "broken-image"),
            (BadOption("option 'w:x': width must be a whole number"), "option-value"),
            (BadOption("unknown option 'wdth' in 'wdth:3'; did you mean 'width'?"), "unknown-option"),
            (OriginFailed("the origin answered 500"), "origin-status"),
        ):
            entry = entry_of(error)
            self.assertEqual(None if entry is None else entry.anchor, anchor)
        self.assertIsNone(entry_of(OriginFailed("of a plugin")))
