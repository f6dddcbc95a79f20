"""The credits in IPTC and XMP that stay where metadata is stripped."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from tests.support.images import encoded, smooth


class CreditsTests(SynchronousTestCase):
    def test_all_credits_are_kept_with_their_character_set(self) -> None:
        jpeg = encoded(smooth(), "JPEG")
        datasets = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"".join(
            bytes((0x1C, 2, tag)) + len(text).to_bytes(2, "big") + text
            for tag, text in ((116, b"(c) Ada"), (80, b"Ada"), (80, b"Bob"), (120, b"a view"))
        )
        content = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(datasets).to_bytes(4, "big") + datasets + b"\0"
        first = 4 + int.from_bytes(jpeg[4:6], "big")
        segment = b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content
        source = jpeg[:first] + segment + jpeg[first:]
        for name, container in (("jpeg", b"8BIM"), ("tiff", b"\xbb\x83")):
            body = process(source, ProcessingOptions(format=name), ProcessingSettings()).body
            for kept in (container, b"(c) Ada", b"\x00\x03Ada", b"\x00\x03Bob", b"\x1b%G"):
                self.assertIn(kept, body)
            self.assertNotIn(b"a view", body)

    def test_broken_xmp_packets_are_dropped(self) -> None:
        typed = b'<!DOCTYPE a [<!ENTITY e "x">]>'
        rdf = b'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:d="http://purl.org/dc/elements/1.1/"'
        for packet, kept in (
            (b"<x", b""),
            (b"\xff\xfe\0\0", b""),
            (b"<r:RDF %s><r:Description d:title='t'/></r:RDF>" % rdf, b""),
            (b"<r:RDF %s><r:Description d:title='t' d:rights='mine'/></r:RDF>" % rdf, b"mine"),
            (typed + b"<r:RDF %s><r:Description d:rights='my&e;'/></r:RDF>" % rdf, b""),
            (typed + b"<r:RDF %s><r:Description><d:rights>my&e;</d:rights></r:Description></r:RDF>" % rdf, b""),
        ):
            source = encoded(smooth(), "WEBP", xmp=packet)
            body = process(source, ProcessingOptions(format="webp"), ProcessingSettings()).body
            self.assertEqual(b"XMP " in body, bool(kept), packet)
            self.assertIn(kept, body)
            self.assertNotIn(b"title", body)
