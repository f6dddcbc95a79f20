"""EXIF, IPTC and XMP in /info, well-formed and hostile."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import ImgforgeError
from imgforge.model import InfoOptions
from imgforge.processing import ProcessingSettings, describe

NOTHING: dict[str, Any] = dict.fromkeys(("size", "format", "dimensions", "exif", "iptc", "xmp"), False)


def encoded(picture: Image.Image, name: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def told(source: bytes, **wanted: Any) -> dict[str, Any]:
    """The requested fields alone, after a round trip through JSON."""
    answer: dict[str, Any] = json.loads(
        json.dumps(describe(source, InfoOptions(**NOTHING | wanted), ProcessingSettings()))
    )
    return answer


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + jpeg[2:]


def dataset(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    named = bytes((len(name),)) + name
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + named
        + b"\0" * (len(named) % 2)
        + struct.pack(">I", len(data))
        + data
        + b"\0" * (len(data) % 2)
    )


class MetadataTests(SynchronousTestCase):
    plain = encoded(Image.new("RGB", (16, 16)), "JPEG")

    def test_exif_by_readable_names(self) -> None:
        exif = Image.Exif()
        exif[0x010F], exif[0x0112], exif[0x0132] = "Acme (Ltd), Inc", 6, "2016:09:11 22:15:03"
        source = encoded(Image.new("RGB", (16, 16)), "JPEG", exif=exif)
        entries = told(source, exif=True)["exif"]
        self.assertEqual(entries["Manufacturer"], "Acme (Ltd), Inc")
        self.assertEqual(entries["Date and Time"], "2016:09:11 22:15:03")
        self.assertEqual(entries["Orientation"], "Right-top")
        self.assertNotIn("Make", entries)

    def test_exif_by_canonical_names(self) -> None:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = "2016:09:11 22:15:03"
        exif[0x0110] = "D810"
        source = encoded(Image.new("RGB", (16, 16)), "JPEG", exif=exif)
        entries = told(source, exif=True, exif_canonical_names=True)["exif"]
        self.assertEqual((entries["DateTimeOriginal"], entries["Model"]), ("2016:09:11 22:15:03", "D810"))
        self.assertEqual(told(source, exif=True)["exif"]["Date and Time (Original)"], "2016:09:11 22:15:03")

    def test_iptc_and_the_resolution_of_photoshop(self) -> None:
        iim = b"".join(
            (
                dataset(1, 90, b"\x1b%G"),
                dataset(2, 5, b"Spider-Man"),
                dataset(2, 25, "spider-män".encode()),
                dataset(2, 25, b"menance"),
                dataset(2, 116, b"Daily Bugle \xa9"),
                struct.pack(">BBBHI", 0x1C, 2, 120, 0x8004, 5) + b"Swing",
            )
        )
        resolution = struct.pack(">HHHHHHHH", 240, 0, 1, 1, 72, 0x8000, 2, 2)
        resources = resource(0x0404, iim, b"odd") + resource(0x03ED, resolution)
        got = told(with_segment(self.plain, 0xED, b"Photoshop 3.0\0" + resources), iptc=True)
        self.assertEqual(
            got["iptc"],
            {
                "Object Name": "Spider-Man",
                "Name": "Spider-Man",
                "Keywords": ["spider-män", "menance"],
                "Copyright Notice": "Daily Bugle ©",
                "Caption/Abstract": "Swing",
                "Caption": "Swing",
            },
        )
        self.assertEqual(
            got["photoshop"],
            {
                "resolution": {
                    "XResolution": 240,
                    "XResolutionUnit": "inches",
                    "WidthUnit": "inches",
                    "YResolution": 72.5,
                    "YResolutionUnit": "cm",
                    "HeightUnit": "cm",
                }
            },
        )

    def test_xmp_by_prefix(self) -> None:
        packet = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
            <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
            <rdf:Description rdf:about="" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" aux:Lens="16-35 mm"
              xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:mine="http://example.com/mine/">
              <d:creator><rdf:Seq><rdf:li>Peter</rdf:li><rdf:li>Parker</rdf:li></rdf:Seq></d:creator>
              <d:title><rdf:Alt><rdf:li xml:lang="de">Spinne</rdf:li><rdf:li xml:lang="x-default">Spider</rdf:li>
              </rdf:Alt></d:title>
              <d:format>image/jpeg</d:format>
              <mine:place rdf:parseType="Resource"><mine:city>NY</mine:city></mine:place>
            </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
        source = encoded(Image.new("RGB", (16, 16)), "JPEG", xmp=packet)
        self.assertEqual(
            told(source, xmp=True)["xmp"],
            {
                "aux": {"Lens": "16-35 mm"},
                "dc": {"creator": ["Peter", "Parker"], "title": "Spider", "format": "image/jpeg"},
                "mine": {"place": {"city": "NY"}},
            },
        )

    def test_entities_of_xmp_are_not_expanded(self) -> None:
        packet = b"""<!DOCTYPE x [<!ENTITY a "SECRET"><!ENTITY f SYSTEM "file:///etc/passwd">]>
            <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
            xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:format>&a;&f;</dc:format></rdf:Description></rdf:RDF>"""
        answer = json.dumps(told(encoded(Image.new("RGB", (16, 16)), "JPEG", xmp=packet), xmp=True))
        self.assertNotIn("SECRET", answer)
        self.assertNotIn("root:", answer)

    def test_missing_metadata_is_left_out(self) -> None:
        self.assertEqual(told(encoded(Image.new("RGB", (9, 9))), exif=True, iptc=True, xmp=True), {})

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.sampled_from((0xE1, 0xED)), st.booleans())
    def test_hostile_metadata_never_raises_anything_else(self, noise: bytes, marker: int, begun: bool) -> None:
        heads = {
            0xE1: (b"Exif\0\0MM\0*\0\0\0\x08", b"http://ns.adobe.com/xap/1.0/\0<rdf:RDF "),
            0xED: (b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\x01\0\x1c\x02", b"Photoshop 3.0\x008BIM"),
        }
        source = with_segment(self.plain, marker, heads[marker][begun] + noise)
        try:
            told(source, exif=True, iptc=True, xmp=True)
        except ImgforgeError as error:
            self.assertEqual(error.status, 422)
