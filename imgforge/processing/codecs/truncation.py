"""Truncated TIFFs, which libvips does not notice where samples are not compressed: it shows the rest black.

Truncated animations of GIF are found by `containers.gif_is_complete`. The loaders of other formats fail by themselves
(`fail_on`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgforge.processing.containers import Entry, Tiff, read_tiff

__all__ = ["tiff_is_complete"]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_OFFSETS, _LENGTHS = (273, 324), (279, 325)  # of strips, of tiles
_UNCOMPRESSED, _YCBCR = 1, 6
# Strips and tiles of all pages together that are checked: a quarter of a second at worst.
_MOST_PARTS = 1 << 20


def tiff_is_complete(body: bytes, page: int = 0, pages: int = 1) -> bool:
    """Whether the file has all uncompressed samples of *pages* pages from *page* on; True for compressed ones."""
    tiff = read_tiff(body)
    if tiff is None:
        return True  # libtiff decides
    left = _MOST_PARTS
    for tags in tiff.directories(page, pages):
        wanted = _sample_bytes(tiff, tags)
        for there in _lengths_of_parts(tiff, tags) if wanted else ():
            wanted -= there
            left -= 1
            if wanted <= 0 or not left:
                break
        if not left:
            break
        if wanted > 0:
            return False
    return True


def _sample_bytes(tiff: Tiff, tags: dict[int, Entry]) -> int:
    """The bytes that the samples of a page take; 0 where its tags do not tell."""

    def first(tag: int) -> int:
        return next(tiff.integers(tags.get(tag), 1), 1)

    if first(_COMPRESSION) != _UNCOMPRESSED or first(_PHOTOMETRIC) == _YCBCR:  # that may be subsampled
        return 0
    return first(_WIDTH) * first(_HEIGHT) * first(_SAMPLES) * first(_BITS) // 8


def _lengths_of_parts(tiff: Tiff, tags: dict[int, Entry]) -> Iterator[int]:
    """Yields how many bytes of each strip or tile lie within the file."""
    offsets, lengths = (next((tags[tag] for tag in either if tag in tags), None) for either in (_OFFSETS, _LENGTHS))
    size = len(tiff.body)
    sizes: Iterable[int] = tiff.integers(lengths, _MOST_PARTS)
    if offsets is not None and offsets.count == 1:  # libtiff does not believe a length that is wrong here
        sizes = (0,)
    for at, length in zip(tiff.integers(offsets, _MOST_PARTS), sizes, strict=False):
        yield max(0, min(length or size, size - at))
