"""Lines of any length, in any pieces, packed or not."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgforge.cli.line_reader import BrokenInput, inflated, line_batches

LONGEST = 8


def lines(pieces: list[bytes], longest: int = LONGEST) -> list[bytes | None]:
    return [line for batch in line_batches(pieces, longest) for line in batch]


def expected(data: bytes) -> list[bytes | None]:
    parts = data.split(b"\n")
    if not parts[-1]:
        parts.pop()
    return [None if len(part) > LONGEST else part.removesuffix(b"\r") for part in parts]


@given(st.lists(st.text("ab\n\r", max_size=20).map(str.encode)))
def test_lines_are_those_of_the_whole_however_it_is_cut(pieces: list[bytes]) -> None:
    assert lines([piece for piece in pieces if piece]) == expected(b"".join(pieces))


def test_each_chunk_gives_the_lines_that_it_completes() -> None:
    assert list(line_batches([b"a\nb", b"c", b"\nd\n"], LONGEST)) == [[b"a"], [b"bc", b"d"]]


def test_a_line_without_end_is_not_kept() -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield bytes(64 * 1024)
        yield b"\nlast"

    tracemalloc.start()
    try:
        found = [line for batch in line_batches(endless(), LONGEST) for line in batch]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [None, b"last"]
    assert most < 1024 * 1024


@given(st.lists(st.binary(max_size=300)), st.integers(1, 50), st.booleans())
def test_gzip_is_unpacked_member_by_member_and_other_data_is_passed(
    parts: list[bytes], size: int, packed: bool
) -> None:
    data = b"".join(map(gzip.compress, parts)) if packed else b"-" + b"".join(parts)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert b"".join(inflated(pieces)) == (b"".join(parts) if packed else data)


def test_zeros_between_and_after_members_are_skipped() -> None:
    assert b"".join(inflated([gzip.compress(b"a") + bytes(9) + gzip.compress(b"b") + bytes(9)])) == b"ab"


@given(st.binary(max_size=200), st.integers(0, 199))
def test_damaged_gzip_gives_what_there_is_and_then_an_error_at_most(tail: bytes, cut: int) -> None:
    data = gzip.compress(b"abc" * 50, mtime=0)[: cut + 2] + tail
    with contextlib.suppress(BrokenInput):
        b"".join(inflated([data]))


def test_cut_gzip_gives_its_beginning() -> None:
    found = inflated([gzip.compress(bytes(range(256)) * 9)[:-4]])
    assert next(found).startswith(bytes(range(256)))
    with pytest.raises(BrokenInput, match="ends too early"):
        list(found)


def test_a_gzip_bomb_is_unpacked_in_small_pieces() -> None:
    compressor = zlib.compressobj(9, wbits=31)
    bomb = compressor.compress(bytes(50_000_000)) + compressor.flush()
    assert len(bomb) < 60_000
    assert sum(map(len, inflated([bomb]))) == 50_000_000
    assert max(map(len, inflated([bomb]))) <= 64 * 1024
    assert [line for batch in line_batches(inflated([bomb]), LONGEST) for line in batch] == [None]
