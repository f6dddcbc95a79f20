"""The name under which a browser saves an image."""

from __future__ import annotations

from dataclasses import replace
from email.message import Message

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import DeliveryOptions, ImageRequest
from imgforge.web.http import content_disposition
from tests.support.requests import REQUEST


class ContentDispositionTests(SynchronousTestCase):
    def named(self, name: str, attachment: bool = False) -> bytes:
        return content_disposition(replace(REQUEST, delivery=DeliveryOptions(filename=name)), "png", attachment)

    def test_filename_of_the_url_replaces_the_stem_unchanged(self) -> None:
        self.assertEqual(self.named("a.png"), b'inline; filename="a.png.png"')

    def test_quotes_are_escaped(self) -> None:
        self.assertEqual(self.named('a"b'), b'inline; filename="a%22b.png"')

    def test_url_takes_precedence_over_the_setting_for_attachments(self) -> None:
        self.assertTrue(self.named("a", attachment=True).startswith(b"attachment;"))
        inline = replace(REQUEST, delivery=DeliveryOptions(return_attachment=False))
        self.assertTrue(content_disposition(inline, "png", True).startswith(b"inline;"))

    @given(st.text(min_size=1))
    def test_any_name_is_one_parameter_of_printable_ascii(self, name: str) -> None:
        value = self.named(name).decode("ascii")
        self.assertTrue(value.isprintable())
        message = Message()
        message["Content-Disposition"] = value
        self.assertEqual(message.get_content_disposition(), "inline")

    def test_source_itself_keeps_its_name_and_extension(self) -> None:
        raw = ImageRequest("http://origin.example/a/photo.jpg?x=1")
        self.assertEqual(content_disposition(raw, "", False), b'inline; filename="photo.jpg"')
        named = replace(raw, delivery=DeliveryOptions(filename="mine"))
        self.assertEqual(content_disposition(named, "", False), b'inline; filename="mine.jpg"')

    def test_percent_signs_of_a_local_file_name_are_not_decoded(self) -> None:
        for source, name in (
            ("local:///a/50%25.jpg", b"50%25.jpg"),
            ("local:///a%20b.jpg?v=1", b"a%20b.jpg"),
            ("local:///%E4%22.jpg", b"%E4%22.jpg"),
            ("http://origin.example/a%20b.jpg", b"a b.jpg"),
        ):
            raw = ImageRequest(source)
            self.assertEqual(content_disposition(raw, "", False), b'inline; filename="' + name + b'"')

    def test_bracket_before_the_path_is_no_mistake(self) -> None:
        for source, name in (
            ("zip://holiday[1]/a/f%20g.png?v=1", b"f g.png"),
            ("zip://holiday[1/f.png", b"f.png"),
            ("zip://holiday[1]", b"image"),
        ):
            self.assertEqual(content_disposition(ImageRequest(source), "", False), b'inline; filename="' + name + b'"')

    def test_source_without_a_name_is_called_image(self) -> None:
        self.assertEqual(
            content_disposition(ImageRequest("http://origin.example/"), "webp", False), b'inline; filename="image.webp"'
        )
