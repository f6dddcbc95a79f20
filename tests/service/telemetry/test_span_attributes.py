"""What spans show of a target."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.telemetry.otel.span_attributes import shown_target

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
        ):
            self.assertEqual(shown_target(target.encode()), shown)
            self.assertNotIn(SIGNATURE, shown_target(target.encode(), "http://o/a.png"))

    def test_a_source_that_is_known_to_have_no_secret_stays(self) -> None:
        target = f"/{SIGNATURE}/w:9/{ENCODED}.png".encode()
        self.assertEqual(shown_target(target, "http://o/a.png"), f"/***/w:9/{ENCODED}.png")
