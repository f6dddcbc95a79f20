"""Images end to end: a real origin, the real twistd, a client."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import Signer
from tests.support.live_server import KEY, SALT, LiveServer
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Reply, Twistd, wait_for

TOKEN = "Bearer open sesame"


class ImageTests(LiveServer):
    def test_photo_is_resized_and_converted(self) -> None:
        reply = self.image("rs:fit:320:320", extension="@webp")
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "image/webp"))
        picture = decode(reply.body).convert("RGB")
        self.assertEqual((decode(reply.body).format, picture.size), ("WEBP", (320, 200)))
        for x, y in ((10, 10), (300, 20), (160, 190)):
            red, green, _ = picture.getpixel((x, y))  # type: ignore[misc]
            self.assertApproximates(red, 255 * x / 319, 12)
            self.assertApproximates(green, 255 * y / 199, 12)

    def test_source_may_be_base64_split_by_slashes(self) -> None:
        encoded = base64.urlsafe_b64encode(self.origin.url("/photo.jpg").encode()).decode().rstrip("=")
        reply = self.server.get(f"/unsafe/w:100/{encoded[:16]}/{encoded[16:]}.png")
        self.assertEqual((decode(reply.body).format, decode(reply.body).size), ("PNG", (100, 63)))

    def test_every_supported_format_is_written(self) -> None:
        for extension, mime_type, name in (
            ("jpg", "image/jpeg", "JPEG"),
            ("png", "image/png", "PNG"),
            ("webp", "image/webp", "WEBP"),
            ("gif", "image/gif", "GIF"),
            ("tiff", "image/tiff", "TIFF"),
        ):
            reply = self.image("w:40", extension=f"@{extension}")
            self.assertEqual((reply.status, reply.headers["content-type"]), (200, mime_type), reply.body[:200])
            self.assertEqual((decode(reply.body).format, decode(reply.body).size), (name, (40, 25)))
        reply = self.image("w:40", extension="@avif")
        self.assertEqual((reply.headers["content-type"], reply.body[4:12]), ("image/avif", b"ftypavif"))

    def test_image_has_its_headers(self) -> None:
        reply = self.image("w:50", extension="@png")
        self.assertEqual(reply.headers["cache-control"], "max-age=31536000, public")
        self.assertEqual(reply.headers["content-disposition"], 'inline; filename="photo.png"')
        self.assertEqual(reply.headers["last-modified"], "Wed, 21 Oct 2015 07:28:00 GMT")
        self.assertIn("sandbox", reply.headers["content-security-policy"])
        self.assertEqual(int(reply.headers["content-length"]), len(reply.body))

    def test_client_with_a_good_copy_gets_304(self) -> None:
        first = self.image("w:50", extension="@png")
        again = self.image("w:50", extension="@png", If_None_Match=first.headers["etag"])
        self.assertEqual((again.status, again.body, again.headers["etag"]), (304, b"", first.headers["etag"]))

    def test_head_is_get_without_the_body(self) -> None:
        url = quote(self.origin.url("/photo.jpg"), safe="")
        got, head = (self.server.get(f"/unsafe/w:60/plain/{url}@png", method=method) for method in ("GET", "HEAD"))
        self.assertEqual((head.status, head.body), (200, b""))
        for name in ("content-type", "content-length", "etag"):
            self.assertEqual(head.headers[name], got.headers[name])

    def test_error_is_one_line_with_the_reason(self) -> None:
        url = quote(self.origin.url("/photo.jpg"), safe="")
        for path, status, word in (
            (f"/unsafe/rs:fil:3:3/plain/{url}", 400, "fil"),
            (f"/unsafe/nonsense:1/plain/{url}", 400, "nonsense"),
            (f"/unsafe/w:50/plain/{url}@nonsense", 400, "nonsense"),
            (f"/unsafe/exp:1000/plain/{url}", 404, "expired"),
            ("/unsafe/w:50/plain/gopher://x/a.jpg", 404, "gopher"),
            (f"/unsafe/w:50/plain/{quote(self.origin.url('/missing.jpg'), safe='')}", 404, "404"),
            (f"/unsafe/w:50/plain/{quote(self.origin.url('/not-an-image'), safe='')}", 422, "image"),
        ):
            reply = self.server.get(path)
            line = reply.body.decode()
            self.assertEqual((reply.status, line.count("\n")), (status, 1), f"{path}: {line}")
            self.assertIn(word, line)
            self.assertEqual(reply.headers["content-type"], "text/plain; charset=utf-8")
            self.assertEqual(reply.headers["cache-control"], "no-store")

    def test_methods_other_than_get_and_head_get_405(self) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            reply = self.server.get("/status", method=method)
            self.assertEqual((reply.status, reply.headers["allow"]), (405, "GET, HEAD"))

    def test_request_id_is_the_clients_or_new(self) -> None:
        self.assertEqual(self.server.get("/status", {"X-Request-ID": "abc-1"}).headers["x-request-id"], "abc-1")
        made = [self.server.get("/status").headers["x-request-id"] for _ in range(2)]
        self.assertNotEqual(*made)
        hostile = self.server.get("/status", {"X-Request-ID": 'a" onclick="b'}).headers["x-request-id"]
        self.assertTrue(hostile.isalnum())

    def test_log_lines_have_the_request_id(self) -> None:
        self.server.get("/unsafe/nonsense:1/plain/http://x/", {"X-Request-ID": "find-me-42"})
        self.server.assert_logged("find-me-42")

    def test_info_has_the_fields_of_the_header(self) -> None:
        reply = self.server.get(f"/info/unsafe/plain/{quote(self.origin.url('/photo.jpg'), safe='')}")
        self.assertEqual(reply.headers["content-type"], "application/json")
        info = json.loads(reply.body)
        self.assertEqual((info["format"], info["width"], info["height"], info["orientation"]), ("jpeg", 640, 400, 1))
        self.assertEqual({info["size"], info["size_bytes"]}, {len(self.origin.files["/photo.jpg"])})
        self.assertEqual((info["channels"], info["has_alpha"], info["pages"]), (3, False, 1))
        self.assertIsNone(info["content_type"])  # this origin names none
        self.assertNotIn("average", info)

    def test_info_has_the_fields_that_the_options_name(self) -> None:
        url = quote(self.origin.url("/photo.jpg"), safe="")
        options = "s:0/f:0/exif:0/c:320:200:nowe/avg:1/bh:4:3/chs:md5"
        info = json.loads(self.server.get(f"/info/unsafe/{options}/plain/{url}").body)
        reply = self.server.get(f"/info/unsafe/ct:a:b/plain/{url}")
        self.assertEqual(reply.headers["cache-tag"], "a,b")
        header = {"width", "height", "orientation", "channels", "has_alpha", "pages"}
        self.assertEqual(set(info), header | {"crop", "average", "blurhash", "hashsums"})
        self.assertEqual(info["crop"], {"left": 0, "top": 0, "width": 0.5, "height": 0.5})
        red, green, _ = decode(self.origin.files["/photo.jpg"]).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[misc]
        self.assertApproximates(info["average"]["R"], red, 2)
        self.assertApproximates(info["average"]["G"], green, 2)
        self.assertEqual(info["hashsums"]["md5"], hashlib.md5(self.origin.files["/photo.jpg"]).hexdigest())  # noqa: S324
        for wrong, status in (("do:1", 400), ("w:1", 400), ("msr:1", 403), ("exp:1", 404), (f"hs:md5:{'0' * 32}", 422)):
            reply = self.server.get(f"/info/unsafe/{wrong}/plain/{url}")
            self.assertEqual((reply.status, reply.body.count(b"\n")), (status, 1), wrong)

    def test_raw_streams_the_source_unchanged(self) -> None:
        reply = self.image("raw:1", source="/not-an-image")
        self.assertEqual((reply.status, reply.body), (200, b"just words"))
        self.assertEqual(reply.headers["cache-control"], "max-age=31536000, public")
        dying = self.image(f"raw:1/exp:{int(time.time()) + 600}", source="/not-an-image")
        self.assertTrue(0 < int(dying.headers["cache-control"].removeprefix("max-age=").partition(",")[0]) <= 600)

    def test_metrics_count_requests_and_results(self) -> None:
        self.image("w:41", extension="@png")
        metrics = self.server.get("/metrics").body.decode()
        for name in (
            "http_requests_duration_seconds_count",
            "image_processing_duration_seconds_count",
            "processed_images_total",
            "status_codes_total",
            "source_image_fetch_duration_seconds_count",
            "source_images_fetched_total",
            "image_operation_semaphore_wait_duration_seconds_count",
            "image_operation_blocking_queue_duration_seconds_count",
            "image_operation_execution_duration_seconds_count",
            "image_operation_concurrency_limit",
            "image_operations_active",
            "image_operations_waiting",
        ):
            self.assertIn(f"\n{name}", metrics)

    def test_start_is_summarised_with_its_risks(self) -> None:
        self.server.assert_logged("libvips 8.", "unsigned", "LOOPBACK")


class SignedTests(LiveServer):
    settings = {"KEY": KEY.hex(), "SALT": SALT.hex(), "SECRET": "open sesame"}

    def get(self, path: str, token: str = TOKEN) -> Reply:
        return self.server.get(path, {"Authorization": token} if token else {})

    def test_signed_url_is_served(self) -> None:
        path = Signer(KEY, SALT).sign(f"/w:80/plain/{self.origin.url('/photo.jpg')}@png")
        self.assertEqual(decode(self.get(path).body).size, (80, 50))

    def test_unsigned_and_altered_urls_are_refused(self) -> None:
        path = Signer(KEY, SALT).sign(f"/w:80/plain/{self.origin.url('/photo.jpg')}@png")
        signature, _, rest = path[1:].partition("/")
        before = len(self.origin.requests)
        for wrong in (
            f"/unsafe/{rest}",
            f"/{signature}=/{rest}",
            f"/{signature[:-1]}/{rest}",
            f"/{signature}/{rest.replace('w:80', 'w:81')}",
            f"/{signature}/{rest.replace('plain', '%70lain')}",
        ):
            self.assertEqual(self.get(wrong).status, 403, wrong)
        self.assertEqual(len(self.origin.requests), before)

    def test_token_is_required_besides_the_signature(self) -> None:
        path = Signer(KEY, SALT).sign(f"/w:80/plain/{self.origin.url('/photo.jpg')}@png")
        for token in ("", "Bearer open", "open sesame", "bearer open sesame"):
            self.assertEqual(self.get(path, token).status, 403, token)
            self.assertEqual(self.get("/metrics", token).status, 403, token)
        for open_to_all in ("/status", "/health"):
            self.assertEqual(self.get(open_to_all, "").status, 200)


class WatermarkTests(LiveServer):
    @classmethod
    def setUpClass(cls) -> None:
        cls.settings = {"WATERMARK_PATH": f"{tempfile.gettempdir()}/imgforge-test-mark-{os.getpid()}.png"}
        Path(cls.settings["WATERMARK_PATH"]).write_bytes(encode(Image.new("RGB", (20, 10), (255, 255, 255)), "PNG"))
        super().setUpClass()
        cls.origin.files["/other.png"] = encode(Image.new("RGB", (20, 10), (255, 0, 255)), "PNG")

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        Path(cls.settings["WATERMARK_PATH"]).unlink()

    def corner(self, options: str) -> tuple[int, ...]:
        picture = decode(self.image(f"w:100/{options}", extension="@png").body).convert("RGB")
        return picture.getpixel((2, 2))  # type: ignore[return-value]

    def test_watermark_is_the_operators_or_the_urls_own(self) -> None:
        self.assertEqual(self.corner("wm:1:nowe"), (255, 255, 255))
        other = base64.urlsafe_b64encode(self.origin.url("/other.png").encode()).decode().rstrip("=")
        self.assertEqual(self.corner(f"wm:1:nowe/wmu:{other}"), (255, 0, 255))

    def test_missing_watermark_is_an_error(self) -> None:
        missing = base64.urlsafe_b64encode(self.origin.url("/missing.png").encode()).decode().rstrip("=")
        self.assertEqual(self.image(f"wm:1/wmu:{missing}").status, 404)


class NegotiationTests(LiveServer):
    settings = {"AUTO_WEBP": "true", "AUTO_AVIF": "true"}

    def test_client_gets_the_best_format_that_it_accepts(self) -> None:
        for accept, mime_type in (
            ("image/avif,image/webp,*/*", "image/avif"),
            ("image/webp,*/*", "image/webp"),
            ("image/webp;q=0,*/*", "image/jpeg"),
        ):
            reply = self.image("w:64", Accept=accept)
            self.assertEqual((reply.headers["content-type"], reply.headers["vary"]), (mime_type, "Accept"))


class FallbackTests(LiveServer):
    settings = {
        "FALLBACK_IMAGE_DATA": base64.b64encode(encode(gradient(64, 48), "PNG")).decode(),
        "FALLBACK_IMAGE_HTTP_CODE": "0",
        "FALLBACK_IMAGE_TTL": "7",
        "CACHE_TYPE": "memory",
    }

    def test_fallback_image_replaces_a_missing_source(self) -> None:
        for source, status in (("/missing.jpg", 404), ("/not-an-image", 422)):
            for _ in range(2):
                reply = self.image("w:32", source=source, extension="@png")
                self.assertEqual((reply.status, decode(reply.body).size), (status, (32, 24)))
                self.assertEqual(
                    (reply.headers["fallback-image"], reply.headers["cache-control"]), ("1", "max-age=7, public")
                )
                self.assertIn("MISS", reply.headers["cache-status"])

    def test_url_may_name_its_own_fallback_image(self) -> None:
        other = base64.urlsafe_b64encode(self.origin.url("/photo.jpg").encode()).decode().rstrip("=")
        reply = self.image(f"w:32/fiu:{other}", source="/missing.jpg", extension="@png")
        self.assertEqual(decode(reply.body).size, (32, 20))

    def test_available_source_is_served(self) -> None:
        reply = self.image("w:32/ct:a:b", extension="@png")
        self.assertEqual((reply.status, reply.headers["cache-tag"]), (200, "a,b"))
        self.assertNotIn("fallback-image", reply.headers)


class LocalTests(SynchronousTestCase):
    def test_local_files_are_served_below_their_root_only(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            Path(root, "inside").mkdir()
            Path(root, "inside", "a.png").write_bytes(encode(gradient(30, 20), "PNG"))
            Path(root, "secret.png").write_bytes(encode(gradient(10, 10), "PNG"))
            Path(root, "inside", "link.png").symlink_to(Path(root, "secret.png"))
            server = Twistd({"LOCAL_FILESYSTEM_ROOT": f"{root}/inside", "PROCESSES": "1"}).start()
            try:
                self.assertEqual(decode(server.get("/unsafe/plain/local:///a.png").body).size, (30, 20))
                for path in ("../secret.png", "%2e%2e/secret.png", "link.png", "", "a.png/..%2f../secret.png"):
                    self.assertEqual(server.get(f"/unsafe/plain/local:///{path}").status // 100, 4, path)
                Path(root, "inside", "50%25").write_bytes(encode(gradient(30, 20), "PNG"))
                raw = server.get("/unsafe/raw:1/plain/local:///50%2525")
                self.assertEqual((raw.status, raw.headers["content-type"]), (200, "image/png"))
                self.assertEqual(raw.headers["content-disposition"], 'inline; filename="50%25"')
            finally:
                server.stop()
                server.clean()


class GuardTests(LiveServer):
    settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "false"}

    def test_loopback_is_refused_by_default_without_a_connection(self) -> None:
        port = self.origin.port
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"):  # noqa: S104
            reply = self.server.get(f"/unsafe/plain/{quote(f'http://{host}:{port}/photo.jpg', safe='')}")
            self.assertEqual(reply.status // 100, 4, host)
        self.assertEqual(self.origin.requests, [])


class TimeoutTests(LiveServer):
    settings = {"TIMEOUT": "1", "DOWNLOAD_TIMEOUT": "30", "WORKERS": "1", "AVIF_SPEED": "0"}

    def test_timeout_gets_408_and_frees_the_thread(self) -> None:
        big = encode(gradient(3000, 2000), "JPEG")
        self.origin.files["/big.jpg"] = big
        slow = self.image("bl:200/rs:force:6000:6000/el:1", source="/big.jpg", extension="@avif")
        self.assertEqual(slow.status, 408)
        # The killed work would take many minutes.
        wait_for(lambda: self.image("w:50").status == 200, "the thread")
