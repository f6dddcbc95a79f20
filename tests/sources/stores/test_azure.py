"""Azure Blob Storage: blobs of Azurite, their names, conditions, clocks, and who may read them."""

from __future__ import annotations

import gzip
import time
from base64 import b64decode
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imgforge.errors import OriginFailed, SourceMissing, SourceNotFound, SourceRefused
from imgforge.sources import AzureSettings, BucketRules
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from imgforge.sources.stores.azure import AzureStore
from imgforge.sources.stores.azure_credentials import SharedKey
from tests.support.azure_server import ACCOUNT, KEY, AzureServer
from tests.support.store_case import StoreCase
from tests.support.store_proxy import Answer, StoreProxy

NAMES = ("a.jpg", "a b.jpg", "é/ü 😀.jpg", "a//b", "a+b", "a%2Fb", "a%252Fb", "a#b", "a&b=c", "a;b,c:d@e", "dir/a.jpg",
         "~a!$'()*")  # fmt: skip
VERSION = "2024-05-06T07:08:09.1234567Z"


def store(endpoint: str = "", separator: str = "?", rules: BucketRules | None = None) -> AzureStore:
    settings = AzureSettings(ACCOUNT, KEY, endpoint, rules or BucketRules())
    return AzureStore(settings, SharedKey(Clock(), ACCOUNT, b64decode(KEY)), 2, separator)


def request(url: str, endpoint: str = "", separator: str = "?", **headers: str) -> OriginRequest:
    kind = store(endpoint, separator)
    made: list[OriginRequest] = []
    ensureDeferred(kind.request_for(kind.checked(url), headers)).addCallback(made.append)
    return made[0]


class RequestTests(SynchronousTestCase):
    def test_it_is_a_kind_of_origin(self) -> None:
        self.assertTrue(verifyObject(IOriginKind, store()))

    def test_the_endpoint_is_azures_or_the_operators(self) -> None:
        for endpoint, expected in {
            "": f"https://{ACCOUNT}.blob.core.windows.net/pics/a%2Fb%201",
            "http://azurite:10000/account": "http://azurite:10000/account/pics/a%2Fb%201",
            "http://azurite:10000/account/": "http://azurite:10000/account/pics/a%2Fb%201",
            "https://blobs.example": "https://blobs.example/pics/a%2Fb%201",
        }.items():
            self.assertEqual(request("abs://pics/a/b 1", endpoint).url, expected)

    def test_the_query_is_the_version_where_it_is_one(self) -> None:
        base = f"https://{ACCOUNT}.blob.core.windows.net/pics/a"
        escaped = VERSION.replace(":", "%3A")
        self.assertEqual(request(f"abs://pics/a?{VERSION}").url, f"{base}?versionid={escaped}")
        self.assertEqual(request(f"abs://pics/a|{VERSION}", separator="|").url, f"{base}?versionid={escaped}")
        for version in ("", "1", "v=1", f"{VERSION}&comp=list", "comp=list"):
            self.assertEqual(request(f"abs://pics/a?{version}").url, base)

    def test_no_url_leaves_its_container(self) -> None:
        for key in ("..", ".", "../other/a", "a/../../other/a", "a/./b", "a\\..\\..\\other\\a", "/../x"):
            with self.assertRaises(SourceNotFound, msg=key):
                store().checked(f"abs://pics/{key}")
        for container in ("Pics", "pi", "..", "a%2fb", "a.b", "x@evil", "a" * 64, "é", "$other", "pics\r\nX"):
            with self.assertRaises(SourceNotFound, msg=container):
                store().checked(f"abs://{container}/a")
        for container in ("$root", "$web", "pics-1", "0ab"):
            store().checked(f"abs://{container}/a")

    def test_a_container_that_is_denied_is_refused_even_where_it_is_allowed(self) -> None:
        kind = store(rules=BucketRules(("aaa", "bbb"), ("bbb",)))
        kind.checked("abs://aaa/o")
        for container in ("bbb", "ccc"):
            with self.assertRaises(SourceRefused):
                kind.checked(f"abs://{container}/o")

    def test_the_log_says_what_the_operator_can_do(self) -> None:
        for status, code, words in (
            (404, "BlobNotFound", ""),
            (404, "ContainerNotFound", "ContainerNotFound: the container does not exist"),
            (403, "AuthenticationFailed", "the signature is refused: check IMGFORGE_ABS_NAME"),
            (403, "AuthorizationPermissionMismatch", "Storage Blob Data Reader"),
            (409, "BlobArchived", "rehydrate"),
            (403, "", "access is denied"),
            (503, "ServerBusy", "throttles"),
            (400, "Bad\x1b[0m", "Bad0m"),
        ):
            refusal = Refusal(OriginRequest("http://x", {}), status, {"x-ms-error-code": code}, b"")
            explained = store().explain(refusal)
            self.assertIn(words, explained)
            self.assertEqual(bool(words), bool(explained), explained)


class ServerTests(StoreCase):
    """Against Azurite, through a proxy where a test has to see or to change what is sent."""

    server: AzureServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = AzureServer("pictures", "secret")
        for number, name in enumerate(NAMES):
            cls.server.put("pictures", name, b"%d" % number)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def store_settings(self) -> dict[str, Any]:
        return {"azure": self.azure()}

    def azure(self, endpoint: str = "", key: str = KEY, **rules: tuple[str, ...]) -> AzureSettings:
        return AzureSettings(ACCOUNT, key, endpoint or self.server.url, BucketRules(**rules))

    def proxy(self, judge: Any = lambda *_: None) -> StoreProxy:
        proxy = StoreProxy(self.server.port, judge)
        self.addCleanup(proxy.close)
        return proxy

    async def test_every_name_is_read_as_it_was_written(self) -> None:
        for number, name in enumerate(NAMES):
            self.assertEqual((await self.get(f"abs://pictures/{name}")).body, b"%d" % number, name)

    async def test_a_question_mark_is_part_of_a_name_where_the_separator_is_another(self) -> None:
        self.server.put("pictures", "what?", b"asked")
        image = await self.get("abs://pictures/what?", query_separator="|")
        self.assertEqual(image.body, b"asked")

    async def test_a_blob_has_its_validators(self) -> None:
        image = await self.get("abs://pictures/a.jpg")
        self.assertRegex(image.etag, '^"0x.+"$')
        self.assertIn("GMT", image.last_modified)
        self.assertEqual(image.content_type, "image/jpeg")

    async def test_what_is_missing_is_missing_and_what_is_denied_is_refused(self) -> None:
        for url in ("abs://pictures/none", "abs://nocontainer/a.jpg"):
            with self.assertRaises(SourceMissing) as caught:
                await self.get(url)
            self.assertEqual(caught.exception.message, "the origin answered 404")
        self.server.put("secret", "a.jpg", b"hidden")
        with self.assertRaises(SourceRefused):
            await self.get("abs://secret/a.jpg", azure=self.azure(denied=("secret",), allowed=("secret", "pictures")))

    async def test_a_wrong_key_is_a_missing_source_with_a_cause_for_the_log(self) -> None:
        with self.assertRaises(SourceNotFound) as caught:
            await self.get("abs://pictures/a.jpg", azure=self.azure(key="d3Jvbmc="))
        self.assertEqual(caught.exception.message, "the origin answered 403")
        self.assertIn("check IMGFORGE_ABS_KEY", caught.exception.cause)

    async def test_compressed_blobs_are_read(self) -> None:
        body = b"picture" * 1000
        self.server.put("pictures", "packed", gzip.compress(body), x_ms_blob_content_encoding="gzip")
        self.assertEqual((await self.get("abs://pictures/packed")).body, body)

    async def test_conditions_are_sent_signed_and_the_store_answers_304(self) -> None:
        etag = self.server.put("pictures", "same", b"same")
        proxy = self.proxy()
        azure = self.azure(f"{proxy.url}/{ACCOUNT}")
        for headers in ({"if-none-match": etag}, {"if-modified-since": formatdate(usegmt=True)}):
            image = await self.get("abs://pictures/same", headers, azure=azure)
            self.assertEqual((image.not_modified, image.body), (True, b""))
            self.assertLessEqual(headers.items(), proxy.requests[-1][1].items())
        changed = await self.get("abs://pictures/same", {"if-none-match": '"0x1"'}, azure=azure)
        self.assertEqual((changed.not_modified, changed.body), (False, b"same"))

    async def test_ranges(self) -> None:
        self.server.put("pictures", "ten", b"0123456789")
        for asked, status, body in (
            ("bytes=2-4", 206, b"234"),
            ("bytes=8-", 206, b"89"),
            ("bytes=-2", 200, b"0123456789"),
        ):
            part = await self.stream("abs://pictures/ten", {"range": asked})
            assert part.head is not None
            self.assertEqual((part.head.status, part.body), (status, body), asked)
        past = await self.stream("abs://pictures/ten", {"range": "bytes=20-30"})
        assert past.head is not None
        self.assertEqual(past.head.status, 416)

    async def test_an_outage_is_no_missing_blob_and_is_tried_again(self) -> None:
        for status in (500, 503):
            answers = [status]

            def judge(path: str, headers: Mapping[str, str], answers: list[int] = answers) -> Answer | None:
                return (answers.pop(), {"x-ms-error-code": "ServerBusy"}, b"") if answers else None

            proxy = self.proxy(judge)
            azure = self.azure(f"{proxy.url}/{ACCOUNT}")
            self.assertEqual((await self.get("abs://pictures/a.jpg", azure=azure)).body, b"0")
            self.assertEqual(len(proxy.requests), 2)
            proxy.judge = lambda *_, status=status: (status, {}, b"<Error><Code>Secret</Code></Error>")
            with self.assertRaises(OriginFailed) as caught:
                await self.get("abs://pictures/a.jpg", azure=azure)
            self.assertEqual(caught.exception.message, f"the origin answered {status}")

    async def test_a_clock_that_is_wrong_is_corrected_once_by_the_stores(self) -> None:
        ahead = 3600.0

        def judge(path: str, headers: Mapping[str, str]) -> Answer | None:
            now = time.time() + ahead
            if abs(parsedate_to_datetime(headers["x-ms-date"]).timestamp() - now) < 900:
                return None
            return 403, {"x-ms-error-code": "AuthenticationFailed", "Date": formatdate(now, usegmt=True)}, b"<Error/>"

        proxy = self.proxy(judge)
        sources = self.sources(azure=self.azure(f"{proxy.url}/{ACCOUNT}"))
        for _ in range(2):
            self.assertEqual((await sources.fetch("abs://pictures/a.jpg", None, {})).body, b"0")
        self.assertEqual(len(proxy.requests), 3)

    async def test_only_what_a_store_needs_is_sent(self) -> None:
        proxy = self.proxy()
        await self.get(
            "abs://pictures/a.jpg",
            {"cookie": "a=b", "authorization": "Bearer client", "x-ms-version": "1", "x-custom": "1"},
            azure=self.azure(f"{proxy.url}/{ACCOUNT}"),
            custom_headers={"x-operator": "1"},
        )
        expected = {"host", "user-agent", "accept", "accept-encoding", "connection", "authorization"}
        self.assertLessEqual(set(proxy.requests[0][1]), expected | {"x-ms-version", "x-ms-date"})
        self.assertEqual(proxy.requests[0][1]["x-ms-version"], "2020-10-02")
