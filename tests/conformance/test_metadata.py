"""Metadata is stripped except the copyright, unless the request keeps it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
import pyvips
from PIL import Image, ImageCms, IptcImagePlugin, PngImagePlugin

from imgforge.processing import ProcessingSettings, detect_format
from imgforge.processing.metadata import with_credits
from tests.support.images import encoded, oriented, smooth
from tests.support.rendition_case import rendered

ORIENTATION, DESCRIPTION, MAKE, ARTIST, COPYRIGHT, GPS = 0x0112, 0x010E, 0x010F, 0x013B, 0x8298, 0x8825
EXIF, COLOUR_SPACE, PRIMARIES, IPTC = 0x8769, 0xA001, 0x013F, 0x83BB
OWNER = {ARTIST: "Ada", COPYRIGHT: "(c) Ada"}
SPOKEN = {DESCRIPTION: "a view", MAKE: "a camera", **OWNER}
FORMATS = ("JPEG", "WEBP", "PNG")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="a tool">'
    b'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) Ada</rdf:li></rdf:Alt></dc:rights>'
    b'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">a view</rdf:li></rdf:Alt></dc:title>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def photo(file_format: str, **how: Any) -> bytes:
    exif = Image.Exif()
    exif.update(SPOKEN)
    exif.get_ifd(GPS)[1] = "N"
    return encoded(smooth(), file_format, exif=exif, **how)


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


def texts_of(body: bytes) -> dict[int, str]:
    """The EXIF texts, without the padding that some writers leave."""
    exif = opened(body).getexif()
    return {tag: str(exif[tag]).strip("\0 ") for tag in SPOKEN if tag in exif}


def xmp(body: bytes) -> bytes:
    """The XMP packet, or b"". PNG has it in a text chunk, which libvips does not write as an international one."""
    said = opened(body).info
    packet = said.get("xmp") or said.get("XML:com.adobe.xmp", b"")
    return packet if isinstance(packet, bytes) else packet.encode()


@dataclass(frozen=True, slots=True)
class Wish:
    """The options, the settings, and the texts that must be kept."""

    name: str
    wanted: dict[int, str]
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


WISHES = (
    Wish("by default", OWNER),
    Wish("without copyright", {}, {"keep_copyright": False}),
    Wish("kept", SPOKEN, {"strip_metadata": False}),
    Wish("kept by the operator", SPOKEN, {}, {"strip_metadata": False}),
    Wish("stripped against the operator", OWNER, {"strip_metadata": True}, {"strip_metadata": False}),
    Wish("kept against the operator", SPOKEN, {"strip_metadata": False}, {"strip_metadata": True}),
    Wish("no copyright by the operator", {}, {}, {"keep_copyright": False}),
    Wish("copyright against the operator", OWNER, {"keep_copyright": True}, {"keep_copyright": False}),
)


def wishes() -> Iterator[Any]:
    for source, target, wish in product(FORMATS, FORMATS, WISHES):
        yield pytest.param(source, target, wish, id=f"{source} to {target} {wish.name}")


@pytest.mark.parametrize(("source", "target", "wish"), list(wishes()))
def test_which_exif_fields_are_kept(source: str, target: str, wish: Wish) -> None:
    made = rendered(photo(source), ProcessingSettings(**wish.settings), format=target.lower(), **wish.options).body
    assert texts_of(made) == wish.wanted
    assert (GPS in opened(made).getexif()) == (wish.wanted == SPOKEN)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kept", [False, True])
def test_a_rotated_picture_has_no_orientation(file_format: str, orientation: int, kept: bool) -> None:
    source = oriented(smooth(), orientation, file_format)
    made = rendered(source, format=file_format.lower(), strip_metadata=not kept).body
    assert opened(made).getexif().get(ORIENTATION, 1) == 1


def test_a_rotation_by_the_url_removes_the_orientation() -> None:
    source = oriented(smooth(), 6, "JPEG")
    made = rendered(source, format="jpeg", strip_metadata=False, auto_rotate=False, rotate=90).body
    assert opened(made).getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize(("kept", "wanted"), [(True, True), (False, False)])
@pytest.mark.parametrize("file_format", FORMATS)
def test_the_colour_profile_is_stripped_or_kept(file_format: str, kept: bool, wanted: bool) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = encoded(smooth(), file_format, icc_profile=profile)
    made = rendered(source, format=file_format.lower(), strip_color_profile=not kept).body
    assert bool(opened(made).info.get("icc_profile")) is wanted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, 72),
        ({"strip_metadata": False}, 300),
        ({"dpi": 150.0}, 150),
        ({"dpi": 96.0, "strip_metadata": False}, 96),
    ],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_the_resolution_in_dots_per_inch(file_format: str, options: dict[str, Any], wanted: int) -> None:
    made = rendered(encoded(smooth(), file_format, dpi=(300, 300)), format=file_format.lower(), **options).body
    assert round(float(opened(made).info["dpi"][0])) == wanted


def test_comments_are_stripped() -> None:
    source = encoded(smooth(), "JPEG", comment=b"hush")
    assert b"hush" not in rendered(source, format="jpeg").body
    assert b"hush" not in rendered(source, format="jpeg", keep_copyright=False).body


@pytest.mark.parametrize(("strip", "has"), [(True, False), (False, True)])
def test_exif_colour_fields_are_stripped_with_the_profile(strip: bool, has: bool) -> None:
    """Adobe RGB is declared by EXIF, without a profile."""
    exif = Image.Exif()
    exif.get_ifd(EXIF)[COLOUR_SPACE] = 2
    exif[PRIMARIES] = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    options: dict[str, Any] = {"strip_metadata": False, "strip_color_profile": strip, "format": "jpeg"}
    made = opened(rendered(encoded(smooth(), "JPEG", exif=exif), **options).body).getexif()
    assert (made.get_ifd(EXIF).get(COLOUR_SPACE) == 2) is has
    assert (PRIMARIES in made) is has


@pytest.mark.parametrize("file_format", FORMATS)
def test_xmp_is_stripped_unless_kept(file_format: str) -> None:
    source = _with_xmp(file_format)
    target = file_format.lower()
    assert b"a view" in xmp(rendered(source, format=target, strip_metadata=False).body)
    assert b"a tool" not in xmp(rendered(source, format=target).body)
    assert xmp(rendered(source, format=target, keep_copyright=False).body) == b""


@pytest.mark.parametrize("file_format", FORMATS)
def test_rights_in_xmp_are_kept_with_the_copyright(file_format: str) -> None:
    made = xmp(rendered(_with_xmp(file_format), format=file_format.lower()).body)
    assert b"(c) Ada" in made
    assert b"a view" not in made


@pytest.mark.parametrize("source", ["TIFF", "JPEG"])
@pytest.mark.parametrize("target", ["tiff", "jpeg", "webp", "png", "avif"])
@pytest.mark.parametrize("owner", ["A", "Ada", "Ada Lovelace", "Ådå Löve", "Ада"])
def test_owners_are_copied_from_and_to_tiff_tags(source: str, target: str, owner: str) -> None:
    # Pillow writes texts in ASCII, but bytes as they are.
    told = {ARTIST: owner.encode(), COPYRIGHT: f"(c) {owner}".encode(), ORIENTATION: 6}
    body = encoded(smooth(), "TIFF", dpi=(300, 300), tiffinfo=told)
    if source == "JPEG":
        body = rendered(body, format="jpeg", quality=95, strip_metadata=False, auto_rotate=False).body
    for strip in (True, False):
        made = opened(rendered(body, format=target, strip_metadata=strip).body)
        tags = made.getexif()
        assert [_utf_8(tags[tag]) for tag in (ARTIST, COPYRIGHT)] == [owner, f"(c) {owner}"]
        assert made.size == (64, 96)
        if target in {"tiff", "jpeg", "png"}:
            assert round(float(made.info["dpi"][0])) == (72 if strip else 300)
    left = opened(rendered(body, format=target, keep_copyright=False).body).getexif()
    assert not {ARTIST, COPYRIGHT} & left.keys()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_with_credits_is_otherwise_unchanged(order: str) -> None:
    """In both byte orders; a text that exceeds the file is ignored."""
    image = pyvips.Image.new_from_array(smooth()).copy(interpretation="srgb")
    plain = bytes(image.tiffsave_buffer())
    source = rendered(photo("JPEG", quality=95), format="tiff", quality=95).body
    again = rendered(source, format="tiff").body
    assert detect_format(again) == "tiff"
    assert (opened(again).tag_v2.keys() - opened(plain).tag_v2.keys()) == {ARTIST, COPYRIGHT}  # type: ignore[attr-defined]
    header = b"II*\0" if order == "<" else b"MM\0*"
    for length, place in ((4, 0x41424300), (5, 0x7FFFFFFF), (0xFFFFFFFF, 8), (0, 0), (1, 0)):
        entry = struct.pack(order + "HHHIII", 1, COPYRIGHT, 2, length, place, 0)
        broken = header + struct.pack(order + "I", 8) + entry
        for end in range(8, len(broken) + 1):
            with_credits(image, broken[:end])
    inline = header + struct.pack(order + "IHHHI4sI", 8, 1, COPYRIGHT, 2, 4, b"Ada\0", 0)
    assert "Ada" in with_credits(image, inline).get("exif-ifd0-Copyright")


def _utf_8(text: str) -> str:
    """*text* decoded again as UTF-8: Pillow decodes texts of EXIF and TIFF as Latin-1."""
    try:
        return text.encode("latin-1").decode("utf-8").rstrip("\0 ")
    except UnicodeError:
        return text.rstrip("\0 ")


CREDITS = {(2, 80): b"Ada", (2, 110): b"her agency", (2, 116): b"(c) Ada"}


@pytest.mark.parametrize("source", ["JPEG", "TIFF"])
@pytest.mark.parametrize("target", ["jpeg", "tiff"])
@pytest.mark.parametrize("padding", range(4))
def test_which_iptc_datasets_are_kept(source: str, target: str, padding: int) -> None:
    told = {80: b"Ada", 110: b"her agency", 116: b"(c) Ada", 120: b"a view" + b"!" * padding}
    jpeg, tiff = _with_iptc(encoded(smooth(), "JPEG"), told), encoded(smooth(), "TIFF", tiffinfo={IPTC: _iim(told)})
    body = jpeg if source == "JPEG" else tiff
    assert iptc(rendered(body, format=target).body) == CREDITS
    assert iptc(rendered(body, format=target, keep_copyright=False).body) == {}
    assert iptc(rendered(body, format=target, strip_metadata=False).body) == CREDITS | {(2, 120): told[120]}


def test_photoshop_resources_without_iptc_are_dropped() -> None:
    source = _with_iptc(encoded(smooth(), "JPEG"), {})
    assert IPTC not in tags(rendered(source, format="tiff", strip_metadata=False).body)


def iptc(body: bytes) -> dict[tuple[int, int], bytes | list[bytes]]:
    return IptcImagePlugin.getiptcinfo(opened(body)) or {}  # type: ignore[arg-type]


def tags(tiff: bytes) -> frozenset[int]:
    return frozenset(opened(tiff).tag_v2)  # type: ignore[attr-defined]


def test_iptc_is_stripped_without_the_copyright_and_kept_with_all_metadata() -> None:
    source = _with_iptc(encoded(smooth(), "JPEG"), {80: b"Ada", 120: b"a view"})
    assert b"a view" not in rendered(source, format="jpeg").body
    assert b"Photoshop" not in rendered(source, format="jpeg", keep_copyright=False).body
    assert b"a view" in rendered(source, format="jpeg", strip_metadata=False).body


def _with_xmp(file_format: str) -> bytes:
    if file_format != "PNG":
        return photo(file_format, xmp=XMP)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return encoded(smooth(), "PNG", pnginfo=text)


def _iim(records: dict[int, bytes]) -> bytes:
    return b"".join(struct.pack(">BBBH", 0x1C, 2, tag, len(text)) + text for tag, text in records.items())


def _with_iptc(jpeg: bytes, records: dict[int, bytes]) -> bytes:
    """*jpeg* with datasets of IPTC's record 2 in a Photoshop resource 0x0404, as its second segment."""
    datasets = _iim(records)
    datasets += b"\0" * (len(datasets) % 2)
    resource = b"8BIM" + struct.pack(">HHL", 0x0404, 0, len(datasets)) + datasets
    content = b"Photoshop 3.0\0" + resource
    first = 4 + struct.unpack(">H", jpeg[4:6])[0]  # JFIF stays the first
    return jpeg[:first] + b"\xff\xed" + struct.pack(">H", len(content) + 2) + content + jpeg[first:]
