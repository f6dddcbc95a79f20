"""The first bytes of a WebP: what is read of them is what is read of all, or all is read."""

from __future__ import annotations

import struct
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imgforge.processing.containers import webp_header_length
from tests.support.first_bytes import FirstBytesCase, has_header
from tests.support.pictures import encode, gradient

_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    return exif


def _picture(*, alpha: bool = False) -> Image.Image:
    """A gradient, or noise of some transparency, so that the alpha channel takes as many bytes as the pixels."""
    if not alpha:
        return gradient(60, 40)
    return Image.frombytes("RGBA", (60, 40), Random(3).randbytes(60 * 40 * 4))


def _animation() -> bytes:
    frames = [gradient(60, 40 + more).crop((0, 0, 60, 40)) for more in range(3)]
    return encode(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk, padded to an even length."""
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def webp(*chunks: bytes) -> bytes:
    """A file of *chunks*."""
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def features(flags: int) -> bytes:
    """A VP8X chunk that says *flags* of a picture of 60 x 40 pixels."""
    return chunk(b"VP8X", struct.pack("<IHBHB", flags, 59, 0, 39, 0))


LOSSY, LOSSLESS = encode(_picture(), "WEBP"), encode(_picture(), "WEBP", lossless=True)
PIXELS = LOSSY[12:]
HEADER_FIRST = {
    "lossy": LOSSY,
    "lossless": LOSSLESS,
    "lossless with alpha": encode(_picture(alpha=True), "WEBP", lossless=True),
    "lossy with alpha": encode(_picture(alpha=True), "WEBP"),
    "with a profile": encode(_picture(), "WEBP", icc_profile=_PROFILE),
    "lossless with a profile": encode(_picture(), "WEBP", icc_profile=_PROFILE, lossless=True),
    "with alpha and a profile": encode(_picture(alpha=True), "WEBP", icc_profile=_PROFILE),
    "with features that it lacks": webp(features(0x30), PIXELS),
    "with a profile that it does not announce": webp(features(0), chunk(b"ICCP", _PROFILE), PIXELS),
    "with alpha that it does not announce": webp(features(0), chunk(b"ALPH", bytes(99)), PIXELS),
    "of an odd length": webp(chunk(b"VP8 ", PIXELS[8:] + b"odd"[: 1 + len(PIXELS) % 2])),
    "with bytes behind it": LOSSY + b"anything",
}
REST_MATTERS = {
    "EXIF": encode(_picture(), "WEBP", exif=_exif()),
    "XMP": encode(_picture(), "WEBP", xmp=_XMP),
    "all metadata": encode(_picture(alpha=True), "WEBP", exif=_exif(), xmp=_XMP, icc_profile=_PROFILE),
    "an animation": _animation(),
    "EXIF that it does not announce": webp(features(0), PIXELS, chunk(b"EXIF", _exif().tobytes())),
    "EXIF before the pixels": webp(features(8), chunk(b"EXIF", _exif().tobytes()), PIXELS),
    "an unknown chunk": webp(features(0), chunk(b"what", bytes(10)), PIXELS),
    "unknown features": webp(features(0x40), PIXELS),
    "features twice": webp(features(0), features(0), PIXELS),
    "features of an odd length": webp(chunk(b"VP8X", features(0)[8:] + b"more"), PIXELS),
    "two pictures": webp(features(0), PIXELS, PIXELS),
    "a profile behind alpha": webp(features(0x30), chunk(b"ALPH", bytes(9)), chunk(b"ICCP", _PROFILE), PIXELS),
    "a profile without features": webp(chunk(b"ICCP", _PROFILE), PIXELS),
    "bytes behind the pixels": webp(PIXELS, b"end"),
    "an end before its end": LOSSY[:-1],
    "another end before its end": webp(features(0), PIXELS)[:-20],
    "a first partition of all pixels": LOSSY[:20] + struct.pack("<I", 0x10 | len(LOSSY) << 5)[:3] + LOSSY[23:],
    "pixels without any": webp(chunk(b"VP8L", b"\x2f" + bytes(5)), bytes(40)),
}
_CHANGES = st.lists(st.tuples(st.integers(12, 70), st.integers(0, 255)), max_size=4)
_ENDS = st.sampled_from((0, 0, 0, -1, -2, -40, 1, 2, 40))


class WebpTests(FirstBytesCase):
    def test_each_part_with_the_header_reads_as_the_whole(self) -> None:
        for name, body in HEADER_FIRST.items():
            self.assertIsNotNone(self.answer(body), name)
            shortest = self.shortest(body)
            self.assertLess(shortest, len(body), name)
            self.assert_same(body, {*range(shortest, shortest + 40), (shortest + len(body)) // 2, len(body) - 1})

    def test_header_ends_with_the_size_of_the_pixels(self) -> None:
        self.assertEqual(self.shortest(LOSSY), 30)
        self.assertEqual(self.shortest(LOSSLESS), 30)
        body = HEADER_FIRST["with a profile"]
        self.assertEqual(self.shortest(body), 30 + 8 + len(_PROFILE) + len(_PROFILE) % 2 + 8 + 10)

    def test_answer_tells_how_many_bytes_are_needed(self) -> None:
        body = HEADER_FIRST["with alpha and a profile"]
        alpha = body.index(b"ALPH")
        self.assertEqual(webp_header_length(body[:20], len(body)), 48)
        self.assertEqual(webp_header_length(body[: alpha - 1], len(body)), alpha + 18)
        self.assertEqual(webp_header_length(body[: alpha + 8], len(body)), self.shortest(body))

    def test_whole_is_read_where_the_rest_matters(self) -> None:
        for name, body in REST_MATTERS.items():
            self.assertEqual(self.shortest(body), len(body), name)

    def test_small_picture_is_read_whole(self) -> None:
        body = encode(gradient(1, 1), "WEBP", lossless=True)
        self.assertIsNotNone(self.answer(body))
        for length in range(len(body)):
            self.assert_never_differs(body, length)

    @settings(max_examples=300)
    @given(st.sampled_from([*HEADER_FIRST.values(), *REST_MATTERS.values()]), _CHANGES, _ENDS, st.data())
    def test_answer_never_differs(
        self, body: bytes, changes: list[tuple[int, int]], end: int, data: st.DataObject
    ) -> None:
        self.assert_changed_never_differs(body, changes, end, webp_header_length, data)

    @given(st.binary(max_size=80), st.integers(0, 1 << 33))
    @example(b"", 0)
    def test_any_bytes_are_judged(self, rest: bytes, size: int) -> None:
        for start in (b"RIFF\x40\0\0\0WEBP", LOSSY[:20], webp(features(0))):
            has_header(start + rest, size)
