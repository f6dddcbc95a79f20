"""Images out of Azure Blob Storage: Azurite, the real twistd, a client."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

from tests.support.azure_server import ACCOUNT, KEY, AzureServer
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Twistd, wait_for
from tests.support.store_proxy import Answer, StoreProxy
from tests.support.store_server import StoreServer
from tests.support.token_renewal import TokenRenewal
from tests.support.token_server import TokenServer

PHOTO = encode(gradient(64, 40), "JPEG")
NAMES = ("a b.jpg", "é/ü 😀.jpg", "a//b.jpg", "a+b.jpg", "a%2Fb.jpg", "a#b.jpg", "a@b.jpg", "a:b,c;d.jpg", "what?.jpg")


class AzureTests(StoreServer):
    store: AzureServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.store = AzureServer("pictures", "secret")
        for name in ("photo.jpg", *NAMES):
            cls.store.put("pictures", name, PHOTO)
        cls.store.put("secret", "photo.jpg", PHOTO)
        cls.store.put("pictures", "mark.png", encode(gradient(8, 8), "PNG"))
        cls.server = Twistd({
            "USE_ABS": "true", "ABS_NAME": ACCOUNT, "ABS_KEY": KEY, "ABS_ENDPOINT": cls.store.url, "PROCESSES": "1",
            "ABS_ALLOWED_BUCKETS": "pictures,secret,nothing", "ABS_DENIED_BUCKETS": "secret",
            "WATERMARK_URL": "abs://pictures/mark.png", "SOURCE_URL_QUERY_SEPARATOR": "|",
        }).start()  # fmt: skip

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()
        cls.server.clean()
        cls.store.close()

    def test_an_image(self) -> None:
        self.assert_image(self.image("abs://pictures/photo.jpg"))

    def test_odd_names(self) -> None:
        for name in NAMES:
            self.assert_image(self.image(f"abs://pictures/{name}"))

    def test_what_is_missing_or_denied_is_404(self) -> None:
        for url in (
            "abs://pictures/none.jpg", "abs://nothing/photo.jpg", "abs://secret/photo.jpg", "abs://other/photo.jpg",
            "abs://pictures/../secret/photo.jpg", "abs://pictures/a/../../secret/photo.jpg",
        ):  # fmt: skip
            self.assert_refused(self.image(url))

    def test_a_compressed_blob(self) -> None:
        self.store.put("pictures", "packed.jpg", gzip.compress(PHOTO), x_ms_blob_content_encoding="gzip")
        self.assert_image(self.image("abs://pictures/packed.jpg"))
        self.assertEqual(self.raw("abs://pictures/packed.jpg").body, PHOTO)

    def test_ranges_of_the_original(self) -> None:
        part = self.raw("abs://pictures/photo.jpg", Range="bytes=2-9")
        self.assertEqual((part.status, part.body), (206, PHOTO[2:10]))
        self.assertEqual(part.headers["content-range"], f"bytes 2-9/{len(PHOTO)}")
        self.assert_refused(self.raw("abs://pictures/photo.jpg", Range="bytes=1000000-"), 416)

    def test_validators_of_the_original(self) -> None:
        whole = self.raw("abs://pictures/photo.jpg")
        self.assertEqual((whole.status, whole.body), (200, PHOTO))
        etag, modified = whole.headers["etag"], whole.headers["last-modified"]
        for condition in ({"If_None_Match": etag}, {"If_None_Match": f'"x", {etag}'}, {"If_None_Match": f"W/{etag}"}):
            again = self.raw("abs://pictures/photo.jpg", **condition)
            self.assertEqual((again.status, again.headers["etag"], again.body), (304, etag, b""), condition)
        self.assertEqual(self.raw("abs://pictures/photo.jpg", If_Modified_Since=modified).status, 304)

    def test_a_watermark_from_the_store(self) -> None:
        plain, marked = (self.image("abs://pictures/photo.jpg", f"w:64{option}").body for option in ("", "/wm:1:ce"))
        self.assertEqual(decode(marked).size, decode(plain).size)
        self.assertNotEqual(decode(marked).tobytes(), decode(plain).tobytes())


class AzureIdentityTests(TokenRenewal, StoreServer):
    """A store that checks tokens, between a public container and a server that has to get them first."""

    scheme, refusal, hidden = "abs", "no identity is assigned", "identity"

    def setUp(self) -> None:
        self.store = AzureServer("pictures", public=True)
        self.addCleanup(self.store.close)
        self.store.put("pictures", "photo.jpg", PHOTO)
        self.tokens = TokenServer()
        self.addCleanup(self.tokens.close)
        self.proxy = StoreProxy(self.store.port, self.judge, {"authorization"})
        self.addCleanup(self.proxy.close)

    def judge(self, path: str, headers: Mapping[str, str]) -> Answer | None:
        if self.tokens.accepts(headers.get("authorization", "")):
            return None
        return 401, {"x-ms-error-code": "InvalidAuthenticationInfo"}, b"<Error/>"

    def start(self) -> None:
        """Start the server with the identity of an App Service."""
        self.server = Twistd(
            {
                "USE_ABS": "true", "ABS_NAME": ACCOUNT, "ABS_ENDPOINT": f"{self.proxy.url}/{ACCOUNT}",
                "PROCESSES": "1", "SOURCE_RETRIES": "0", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
            },
            environment={
                "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
                "IDENTITY_ENDPOINT": f"{self.tokens.url}/msi/token", "IDENTITY_HEADER": "code",
            },
        )  # fmt: skip
        self.addCleanup(self.server.clean)
        self.addCleanup(self.server.stop)
        self.server.start()

    def test_an_outage_is_a_bad_gateway_and_access_denied_is_404_with_its_cure_in_the_log(self) -> None:
        self.start()
        for status, code, expected in (
            (503, "ServerBusy", 502),
            (500, "InternalError", 502),
            (403, "AuthorizationPermissionMismatch", 404),
        ):
            answer = (status, {"x-ms-error-code": code}, f"<Error><Code>{code}</Code></Error>".encode())
            self.proxy.judge = lambda *_, answer=answer: answer
            self.assert_refused(self.image("abs://pictures/photo.jpg"), expected, code)
        self.server.assert_logged("give the identity the role Storage Blob Data Reader")


class AzureStartTests(StoreServer):
    def test_an_account_without_a_name_ends_the_start_with_one_line(self) -> None:
        server = Twistd({"USE_ABS": "true", "ABS_KEY": "s3cr3t"})
        self.addCleanup(server.clean)
        server.launch()
        wait_for(lambda: server.ended, "the end")
        server.assert_logged("needs IMGFORGE_ABS_NAME")
        for word in ("s3cr3t", "Traceback"):
            self.assertNotIn(word, server.output())
