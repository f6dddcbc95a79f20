"""What spans show of a target."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.telemetry.otel.span_attributes import shown_target, source_attributes

SIGNATURE = "AfrOrF3gWeDA6VOlDG4TzxMv39O7MXnF4CXpKUwGqRM"
ENCODED = urlsafe_b64encode(b"http://o/a.png").decode().rstrip("=")


class TargetTests(SynchronousTestCase):
    def test_no_signature_is_shown(self) -> None:
        for target, shown in (
            (f"/{SIGNATURE}/w:9/plain/http://o/a.png", "/***/w:9/plain/http://o/a.png"),
            (f"/{SIGNATURE}/plain/http://o/a.png?x=1", "/***/plain/http://o/a.png"),
            (f"/img/{SIGNATURE}/w:9/plain/http://o/a.png", "/***/***/w:9/plain/http://o/a.png"),
            (f"http://images/{SIGNATURE}/w:9/plain/http://o/a.png", "/***/w:9/plain/http://o/a.png"),
            (f"/{SIGNATURE}/w,9/plain/http://o/a.png", "/***/***/plain/http://o/a.png"),
            (f"/info/{SIGNATURE}/plain/http://o/a.png", "/info/***/plain/http://o/a.png"),
            (f"/{SIGNATURE}/w:9/{ENCODED}", "/***/w:9/..."),
            (f"/{SIGNATURE}/{ENCODED}", "/***/..."),
            (f"/info/{SIGNATURE}/{ENCODED}", "/info/..."),
            ("/unsafe/w:9/plain/http://o/a.png", "/unsafe/w:9/plain/http://o/a.png"),
            ("/unsafe/w:9/plain/http://o/a.png@webp#hush", "/unsafe/w:9/plain/http://o/a.png@webp"),
        ):
            self.assertEqual(shown_target(target.encode()), shown)
            self.assertNotIn(SIGNATURE, shown_target(target.encode(), "http://o/a.png"))

    def test_no_password_is_shown(self) -> None:
        for source in ("http://u:hush@o/a.png", "http%3A%2F%2Fu%3Ahush%40o%2Fa.png", "http%3a//hush@o/a@2x.png%23hush"):
            self.assertNotIn("hush", shown_target(f"/unsafe/w:9/plain/{source}".encode()))

    def test_hosts_that_are_none_are_shown_all_the_same(self) -> None:
        for url in ("http://[abc/x.png", "http://a\u2100b/x.png"):
            self.assertEqual(source_attributes(url)["imgproxy.source_image_url"], url)
        self.assertEqual(source_attributes("https://o:81/a.png")["imgproxy.source_image_origin"], "https://o:81")
        self.assertEqual(source_attributes("local:///a.png")["imgproxy.source_image_origin"], "local")

    def test_a_source_that_is_known_to_have_no_secret_stays(self) -> None:
        target = f"/{SIGNATURE}/w:9/{ENCODED}.png".encode()
        self.assertEqual(shown_target(target, "http://o/a.png"), f"/***/w:9/{ENCODED}.png")
