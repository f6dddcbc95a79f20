"""Images out of Google Cloud Storage: fake-gcs-server, the real twistd, a client."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from pathlib import Path

from tests.support.gcs_server import GcsServer
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Twistd, wait_for
from tests.support.store_proxy import Answer, StoreProxy
from tests.support.store_server import StoreServer, source_path
from tests.support.token_renewal import TokenRenewal
from tests.support.token_server import TokenServer, service_account

PHOTO = encode(gradient(64, 40), "JPEG")
NAMES = ("a b.jpg", "é/ü 😀.jpg", "a//b.jpg", "a/../b.jpg", "a+b.jpg", "a%2Fb.jpg", "a#b.jpg", "a@b.jpg", "a:b,c;d.jpg")


class GcsTests(StoreServer):
    store: GcsServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.store = GcsServer("pictures", "secret")
        for name in ("photo.jpg", *NAMES):
            cls.store.put("pictures", name, PHOTO, contentType="image/jpeg")
        cls.store.put("secret", "photo.jpg", PHOTO)
        cls.store.put("pictures", "mark.png", encode(gradient(8, 8), "PNG"))
        cls.server = Twistd({
            "USE_GCS": "true", "GCS_ENDPOINT": f"{cls.store.url}/storage/v1/", "PROCESSES": "1",
            "GCS_ALLOWED_BUCKETS": "pictures,secret,none", "GCS_DENIED_BUCKETS": "secret",
            "WATERMARK_URL": "gs://pictures/mark.png",
        }).start()  # fmt: skip

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()
        cls.server.clean()
        cls.store.close()

    def test_an_image(self) -> None:
        self.assert_image(self.image("gs://pictures/photo.jpg"))

    def test_odd_names(self) -> None:
        for name in NAMES:
            self.assert_image(self.image(f"gs://pictures/{name}"))

    def test_what_is_missing_or_denied_is_404(self) -> None:
        for url in ("gs://pictures/none.jpg", "gs://none/photo.jpg", "gs://secret/photo.jpg", "gs://other/photo.jpg"):
            self.assert_refused(self.image(url))

    def test_a_generation(self) -> None:
        old = self.store.put("pictures", "changed.jpg", encode(gradient(10, 10), "PNG"))
        self.store.put("pictures", "changed.jpg", encode(gradient(12, 12), "PNG"))
        for query, side in ((f"?{old}", 10), ("", 12)):
            self.assert_image(self.image(f"gs://pictures/changed.jpg{query}", "w:0"), (side, side))

    def test_a_compressed_object(self) -> None:
        self.store.put("pictures", "packed.jpg", gzip.compress(PHOTO), contentEncoding="gzip")
        self.assert_image(self.image("gs://pictures/packed.jpg"))

    def test_ranges_of_the_original(self) -> None:
        part = self.raw("gs://pictures/photo.jpg", Range="bytes=2-9")
        self.assertEqual((part.status, part.body), (206, PHOTO[2:10]))
        self.assertEqual(part.headers["content-range"], f"bytes 2-9/{len(PHOTO)}")
        past = self.raw("gs://pictures/photo.jpg", Range="bytes=1000000-")
        self.assert_refused(past, 416)
        self.assertEqual(past.headers["content-range"], f"bytes */{len(PHOTO)}")

    def test_validators_of_the_original(self) -> None:
        whole = self.raw("gs://pictures/photo.jpg")
        self.assertEqual((whole.status, whole.body), (200, PHOTO))
        again = self.raw("gs://pictures/photo.jpg", If_None_Match=whole.headers["etag"])
        self.assertEqual((again.status, again.headers["etag"], again.body), (304, whole.headers["etag"], b""))

    def test_a_watermark_from_the_store(self) -> None:
        plain, marked = (self.image("gs://pictures/photo.jpg", f"w:64{option}").body for option in ("", "/wm:1:ce"))
        self.assertEqual(decode(marked).size, decode(plain).size)
        self.assertNotEqual(decode(marked).tobytes(), decode(plain).tobytes())


class GcsFaultTests(TokenRenewal, StoreServer):
    """A store that checks tokens, between fake-gcs-server and a server that has to get them first."""

    scheme, refusal, hidden = "gs", "Invalid JWT signature.", "JWT"

    def setUp(self) -> None:
        self.store = GcsServer("pictures")
        self.addCleanup(self.store.close)
        self.store.put("pictures", "photo.jpg", PHOTO, contentType="image/jpeg")
        self.tokens = TokenServer()
        self.addCleanup(self.tokens.close)
        self.proxy = StoreProxy(self.store.port, self.judge)
        self.addCleanup(self.proxy.close)

    def judge(self, path: str, headers: Mapping[str, str]) -> Answer | None:
        if self.tokens.accepts(headers.get("authorization", "")):
            return None
        return 401, {}, b"<?xml version='1.0'?><Error><Code>AuthenticationRequired</Code></Error>"

    def start(self, environment: Mapping[str, str] | None = None, **settings: str) -> None:
        """Start the server; the service account's key is in GCS_KEY unless the *environment* has credentials."""
        if environment is None:
            settings["GCS_KEY"] = service_account(f"{self.tokens.url}/token")
        settings = {
            "USE_GCS": "true", "GCS_ENDPOINT": self.proxy.url, "PROCESSES": "1", "SOURCE_RETRIES": "0",
            "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
        } | settings  # fmt: skip
        self.server = Twistd(settings, environment=environment or {})
        self.addCleanup(self.server.clean)
        self.addCleanup(self.server.stop)
        self.server.start()

    def test_the_metadata_server(self) -> None:
        self.start({"GCE_METADATA_HOST": self.tokens.host})
        self.assert_image(self.image("gs://pictures/photo.jpg"))

    def test_an_outage_is_a_bad_gateway_and_access_denied_is_404_with_its_cure_in_the_log(self) -> None:
        self.start()
        body = b"<Error><Code>AccessDenied</Code><Message>imgforge@test has no access</Message></Error>"
        for status, expected in ((503, 502), (500, 502), (403, 404)):
            self.proxy.judge = lambda *_, status=status: (status, {}, body)
            self.assert_refused(self.image("gs://pictures/photo.jpg"), expected, "AccessDenied", "imgforge@test")
        self.server.assert_logged("grant the service account roles/storage.objectViewer")
        for token in self.tokens.issued:
            self.assertNotIn(token, self.server.output())

    def test_a_304_of_a_store_that_names_no_etag_carries_the_one_it_confirms(self) -> None:
        self.start()
        etag = self.raw("gs://pictures/photo.jpg").headers["etag"]
        self.proxy.judge = lambda _, headers: (304, {}, b"") if headers.get("if-none-match") == etag else None
        reply = self.raw("gs://pictures/photo.jpg", If_None_Match=etag)
        self.assertEqual((reply.status, reply.headers.get("etag"), reply.body), (304, etag, b""))


class GcsStartTests(StoreServer):
    def twistd(self, settings: dict[str, str]) -> Twistd:
        server = Twistd(settings)
        self.addCleanup(server.clean)
        return server

    def assert_ends(self, server: Twistd) -> None:
        server.launch()
        wait_for(lambda: server.ended, "the end")
        self.assertNotIn("Traceback", server.output())

    def test_a_broken_key_ends_the_start_with_one_line(self) -> None:
        server = self.twistd({"USE_GCS": "true", "GCS_KEY": '{"type": "service_account", "private_key": "s3cret"}'})
        self.assert_ends(server)
        server.assert_logged("IMGFORGE_GCS_KEY holds no usable key")
        self.assertNotIn("s3cret", server.output())

    def test_a_missing_library_ends_the_start_with_the_command_that_installs_it(self) -> None:
        for package, settings, extra in (
            ("google", {"USE_GCS": "true"}, "gcs"),
            ("azure", {"USE_ABS": "true", "ABS_NAME": "account"}, "azure"),
        ):
            server = self.twistd(settings)
            # An empty package of the same name hides the real one.
            hiding = Path(server.scratch.name, "hiding", package)
            hiding.mkdir(parents=True)
            (hiding / "__init__.py").touch()
            path = os.pathsep.join(filter(None, [str(hiding.parent), os.environ.get("PYTHONPATH")]))
            server.environment = {"PYTHONPATH": path}
            self.assert_ends(server)
            server.assert_logged(f"pip install 'twisted-imgforge[{extra}]'")

    def test_a_scheme_that_is_not_switched_on_says_so(self) -> None:
        self.server = Twistd({"PROCESSES": "1"})
        self.addCleanup(self.server.clean)
        self.addCleanup(self.server.stop)
        self.server.start()
        for url, setting in (("gs://a/b", "IMGFORGE_USE_GCS"), ("abs://a/b", "IMGFORGE_USE_ABS")):
            reply = self.server.get(source_path(url))
            self.assertEqual(reply.status, 404)
            self.assertIn(f"{setting} is not set", self.server.output() + reply.body.decode())
