"""The first bytes of an AVIF: what is read of them is what is read of all, or all is read."""

from __future__ import annotations

import struct

import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imgforge.processing.containers import avif_header_length
from tests.support.avif_files import Avif, Item, Place, box
from tests.support.first_bytes import FirstBytesCase, has_header
from tests.support.pictures import encode, gradient

_PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/avif"/></rdf:RDF></x:xmpmeta>'
)
_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif(turn: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", turn
    return exif


def xmp(place: Place = "before", parts: int = 1) -> Item:
    """XMP, where the test wants it."""
    return Item(b"mime", _PACKET, place, parts)


def exif(place: Place = "before", parts: int = 1) -> Item:
    """EXIF, behind the offset that the item begins with."""
    return Item(b"Exif", bytes(4) + _exif().tobytes().removeprefix(b"Exif\0\0"), place, parts)


def _by_libheif(*, orientation: int = 0) -> bytes:
    """A picture of libvips, which always writes EXIF, behind the pixels."""
    image = pyvips.Image.black(64, 40, bands=3).copy(interpretation="srgb")
    if orientation:
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return bytes(image.heifsave_buffer(compression="av1"))


def _cut(body: bytes, end: bytes) -> bytes:
    """*body* up to the first *end*."""
    return body[: body.index(end)]


_RGBA = gradient(64, 40).convert("RGBA")
_RGBA.putalpha(gradient(64, 40).convert("L"))
HEADER_FIRST = {
    "plain": encode(gradient(64, 40), "AVIF"),
    "grey": encode(gradient(64, 40).convert("L"), "AVIF"),
    "with alpha": encode(_RGBA, "AVIF"),
    "with a profile": encode(gradient(64, 40), "AVIF", icc_profile=_PROFILE),
    "with XMP": encode(gradient(64, 40), "AVIF", xmp=_PACKET),
    "with all metadata": encode(_RGBA, "AVIF", exif=_exif(), xmp=_PACKET, icc_profile=_PROFILE),
    **{f"turned by {turn}": encode(gradient(64, 40), "AVIF", exif=_exif(turn)) for turn in range(1, 9)},
    "of another encoder, without EXIF": bytes(
        pyvips.Image.black(64, 40, bands=3).copy(interpretation="srgb").heifsave_buffer(compression="av1", keep="none")
    ),
    "of our own making": bytes(Avif()),
    "with items in three places": bytes(Avif((exif(), xmp("idat")), version=1)),
    "with an item in parts": bytes(Avif((exif(parts=3), xmp(parts=10)))),
    "with items in parts in meta": bytes(Avif((exif("idat", parts=3), xmp("idat")), version=2, entries=3)),
    "with long numbers": bytes(Avif((exif(), xmp()), version=1, width=8, large=True)),
    "with offsets from a base": bytes(Avif((xmp(),), version=1, based=True)),
    "with an open end": bytes(Avif((exif(),), open_end=True)),
    "with boxes between": bytes(Avif((exif(),), before=box(b"free", bytes(100)) + box(b"skip", b""))),
    "with an unknown item": bytes(Avif((Item(b"what", bytes(9)), exif()))),
}
REST_MATTERS = {
    "a sequence": encode(gradient(64, 40), "AVIF", save_all=True, append_images=[gradient(64, 40).rotate(180)]),
    "the brand of sequences": bytes(Avif(brand=b"avis")),
    "EXIF of another encoder": _by_libheif(),
    "EXIF and a turn of another encoder": _by_libheif(orientation=6),
    "EXIF behind the pixels": bytes(Avif((exif("behind"),))),
    "XMP behind the pixels": bytes(Avif((exif(), xmp("behind")))),
    "one part behind the pixels": bytes(Avif((exif(), xmp("behind", 30)))),
    "an unknown item behind the pixels": bytes(Avif((Item(b"what", bytes(9), "behind"), exif()))),
    "a box behind the pixels": bytes(Avif(behind=box(b"free", b""))),
    "bytes behind the pixels": bytes(Avif(behind=b"end")),
    "the header of a large box behind the pixels": bytes(Avif(behind=box(b"free", b"", large=True)[:12])),
    "an end before its end": bytes(Avif((exif(),)))[:-1],
    "an unknown box": bytes(Avif((exif(),), before=box(b"what", b""))),
    "tracks": bytes(Avif((exif(),), before=box(b"moov", b""))),
    "too many boxes": bytes(Avif(before=box(b"free", b"") * 100)),
    "too many boxes in meta": bytes(Avif(more=(box(b"free", b"") * 100,))),
    "too many items": bytes(Avif((exif(),) * 100)),
    "too many parts": bytes(Avif((Item(b"mime", bytes(2002), "before", 1001),))),
    "an item of no bytes": bytes(Avif((xmp(),))).replace(struct.pack(">I", len(_PACKET)), bytes(4), 1),
    "an item of another file": bytes(Avif((exif(),), references=1)),
    "an item of other items": bytes(Avif((xmp(),), version=1)).replace(
        struct.pack(">HHHH", 2, 0, 0, 1), struct.pack(">HHHH", 2, 2, 0, 1)
    ),
    "two tables of places": bytes(Avif(more=(box(b"iloc", bytes(8)),))),
    "two tables of types": bytes(Avif(more=(box(b"iinf", bytes(6)),))),
    "two headers": bytes(Avif(before=_cut(bytes(Avif()), b"mdat")[24:-4])),
    "fewer items than it says": bytes(Avif()).replace(b"iinf\0\0\0\0\0\1", b"iinf\0\0\0\0\0\2"),
    "a table of places that ends too early": bytes(Avif()).replace(b"iloc\0\0\0\0\x44", b"iloc\0\0\0\0\x88"),
    "old entries": bytes(Avif()).replace(b"infe\x02", b"infe\x01"),
    "one item twice": bytes(Avif((exif(),))).replace(b"infe\x02\0\0\0\0\x02", b"infe\x02\0\0\0\0\x01"),
    "a place twice": bytes(Avif((xmp(),), version=1)).replace(
        struct.pack(">HHHH", 2, 0, 0, 1), struct.pack(">HHHH", 1, 0, 0, 1)
    ),
    "numbers of an odd length": bytes(Avif((exif(),))).replace(b"iloc\0\0\0\0\x44", b"iloc\0\0\0\0\x45"),
    "an unknown table of places": bytes(Avif((exif(),))).replace(b"iloc\0", b"iloc\3"),
    "a place beyond the data of meta": bytes(Avif((xmp("idat"),), version=1)).replace(
        struct.pack(">I4s", 8 + len(_PACKET), b"idat"), struct.pack(">I4s", 8 + len(_PACKET), b"free")
    ),
    "no header": box(b"ftyp", b"avif" + bytes(4)) + box(b"mdat", bytes(100)),
}
_PLACES: st.SearchStrategy[Place] = st.sampled_from(("before", "before", "behind", "idat"))
_ITEMS = st.lists(
    st.builds(
        Item, st.sampled_from((b"Exif", b"mime", b"what", b"grid")), st.binary(min_size=1, max_size=60), _PLACES,
        st.integers(1, 3),
    ),
    max_size=3,
)  # fmt: skip
_BUILT = st.builds(
    Avif,
    st.one_of(_ITEMS, _PLACES.map(lambda place: [exif(place)]), _PLACES.map(lambda place: [exif(), xmp(place)])),
    version=st.sampled_from((0, 1, 2)),
    width=st.sampled_from((4, 8)),
    entries=st.sampled_from((2, 3)),
    based=st.booleans(),
    open_end=st.booleans(),
    large=st.booleans(),
    before=st.sampled_from((b"", box(b"free", bytes(9)), box(b"what", b""))),
    behind=st.sampled_from((b"", b"", box(b"free", bytes(9)), b"end")),
).map(bytes)
_FILES = st.one_of(st.sampled_from([*HEADER_FIRST.values(), *REST_MATTERS.values()]), _BUILT)
_CHANGES = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=3)
_ENDS = st.sampled_from((0, 0, 0, -1, -40, 1, 40))


class AvifTests(FirstBytesCase):
    def test_each_part_with_the_header_reads_as_the_whole(self) -> None:
        for name, body in HEADER_FIRST.items():
            self.assertIsNotNone(self.answer(body), name)
            shortest = self.shortest(body)
            self.assertLess(shortest, len(body), name)
            self.assert_same(body, {*range(shortest, shortest + 20), (shortest + len(body)) // 2, len(body) - 1})

    def test_metadata_is_among_what_is_read(self) -> None:
        body = HEADER_FIRST["with items in three places"]
        found = self.answer(body[: self.shortest(body)], len(body)) or {}
        self.assertIn("exif", found)
        self.assertEqual(found["xmp"], {"dc": {"format": "image/avif"}})

    def test_answer_tells_how_many_bytes_are_needed(self) -> None:
        body = HEADER_FIRST["with all metadata"]
        meta = 32 + int.from_bytes(body[32:36], "big")
        self.assertEqual(avif_header_length(body[:20], len(body)), 40)
        self.assertEqual(avif_header_length(body[:100], len(body)), meta + 8)
        self.assertEqual(avif_header_length(body[: meta + 8], len(body)), self.shortest(body))
        self.assertGreater(self.shortest(body), meta + 8 + len(_PACKET))

    def test_whole_is_read_where_the_rest_matters(self) -> None:
        for name, body in REST_MATTERS.items():
            for length in {len(body) - 1, len(body) // 2, 400}:
                self.assertFalse(has_header(body[:length], len(body)), name)

    @settings(max_examples=300)
    @given(
        st.one_of(st.sampled_from([*HEADER_FIRST.values(), *REST_MATTERS.values()]), _BUILT), _CHANGES, _ENDS, st.data()
    )
    def test_answer_never_differs(
        self, body: bytes, changes: list[tuple[int, int]], end: int, data: st.DataObject
    ) -> None:
        self.assert_changed_never_differs(body, changes, end, avif_header_length, data)

    @given(st.binary(max_size=200), st.integers(0, 1 << 33))
    def test_any_bytes_are_judged(self, rest: bytes, size: int) -> None:
        body = bytes(Avif((exif(), xmp("idat")), version=1))
        for start in (b"", body[:28], body[:60], _cut(body, b"iinf"), _cut(body, b"mdat")):
            has_header(start + rest, size)
