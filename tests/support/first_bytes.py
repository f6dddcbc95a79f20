"""Whether what `/info` tells of the first bytes of a file is what it tells of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import NotAnImage, SourceTooLarge
from imgforge.model import InfoOptions
from imgforge.processing import ProcessingSettings, describe, header_length

__all__ = ["ALL_FIELDS", "FirstBytesCase", "has_header"]

ALL_FIELDS = InfoOptions(colorspace=True, bands=True, sample_format=True, pages_number=True, alpha=True)


def has_header(body: bytes, size: int) -> bool:
    """Whether *body*, the beginning of a file of *size* bytes, is said to have its header."""
    return header_length(body, size) <= len(body) < size


class FirstBytesCase(SynchronousTestCase):
    """A case of a format whose header can be in the first bytes."""

    def shortest(self, body: bytes) -> int:
        """The least number of bytes that are said to have the header; all, where no part is."""
        return next((length for length in range(len(body)) if has_header(body[:length], len(body))), len(body))

    def assert_same(self, body: bytes, lengths: Iterable[int]) -> None:
        """Each part of *lengths* bytes that is said to have the header reads as the whole."""
        whole = self.answer(body)
        for length in lengths:
            if has_header(body[:length], len(body)):
                self.assertEqual(self.answer(body[:length], len(body)), whole, length)

    def assert_never_differs(self, body: bytes, length: int) -> None:
        """The first *length* bytes read as the whole, or are found not to suffice."""
        part, size = body[:length], len(body)
        needed = header_length(part, size)
        self.assertLessEqual(needed, max(size, length + 1))
        if needed <= length < size:
            found = self.answer(part, size)
            self.assertIn(found, (None, self.answer(body)))
        elif length < needed < size:
            self.assertFalse(has_header(body[: needed - 1], size), "fewer do as well")

    def assert_changed_never_differs(
        self,
        body: bytes,
        changes: Iterable[tuple[int, int]],
        end: int,
        measure: Callable[[bytes, int], int],
        data: st.DataObject,
    ) -> None:
        """The same of *body* with other bytes at some places, and cut or continued at its *end*.

        The length is any, or at least the header's by *measure*.
        """
        changed = bytearray(body if end > 0 else body[: len(body) + end])
        for at, value in changes:
            changed[at % len(changed)] = value
        changed += bytes(max(end, 0))
        most = len(changed) - 1
        header = min(measure(bytes(changed[:most]), len(changed)), most)
        self.assert_never_differs(bytes(changed), data.draw(st.integers(0, most) | st.integers(header, most)))

    def answer(self, body: bytes, size: int = 0) -> dict[str, object] | None:
        """All fields of a file; None where it is refused."""
        try:
            return describe(body, ALL_FIELDS, ProcessingSettings(), size=size)
        except (NotAnImage, SourceTooLarge):
            return None
