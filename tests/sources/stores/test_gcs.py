"""Google Cloud Storage: objects of fake-gcs-server, their names, versions, conditions, and who may read them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imgforge.errors import OriginFailed, SourceMissing, SourceNotFound, SourceRefused
from imgforge.sources import AddressPolicy, BucketRules, GcsSettings
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from imgforge.sources.stores.gcs import GcsStore
from tests.support.gcs_server import GcsServer
from tests.support.store_case import StoreCase
from tests.support.store_proxy import Answer, StoreProxy
from tests.support.token_server import TokenServer, service_account

NAMES = ("a.jpg", "a b.jpg", "é/ü 😀.jpg", "a//b", "a/../b", "./c", "a+b", "a%2Fb", "a%252Fb", "a#b", "a&b=c",
         "a;b,c:d@e")  # fmt: skip


def store(endpoint: str = "", separator: str = "?", rules: BucketRules | None = None) -> GcsStore:
    return GcsStore(GcsSettings(endpoint=endpoint, buckets=rules or BucketRules()), None, 2, separator)


def wire_url(url: str, endpoint: str = "", separator: str = "?") -> str:
    kind = store(endpoint, separator)
    made: list[OriginRequest] = []
    ensureDeferred(kind.request_for(kind.checked(url), {})).addCallback(made.append)
    return made[0].url


class RequestTests(SynchronousTestCase):
    def test_it_is_a_kind_of_origin(self) -> None:
        self.assertTrue(verifyObject(IOriginKind, store()))

    def test_google_is_asked_through_the_xml_api_and_others_through_the_json_api(self) -> None:
        google, other = "https://storage.googleapis.com", "http://gcs:4443"
        for endpoint, expected in {
            "": f"{google}/b/a%2F..%2Fo%201?generation=17",
            google: f"{google}/b/a%2F..%2Fo%201?generation=17",
            f"{google}/storage/v1/": f"{google}/b/a%2F..%2Fo%201?generation=17",
            "https://storage-x.p.googleapis.com/": (
                "https://storage-x.p.googleapis.com/b/a%2F..%2Fo%201?generation=17"
            ),
            other: f"{other}/storage/v1/b/b/o/a%2F..%2Fo%201?alt=media&generation=17",
            f"{other}/storage/v1": f"{other}/storage/v1/b/b/o/a%2F..%2Fo%201?alt=media&generation=17",
            f"{other}/storage/v1/": f"{other}/storage/v1/b/b/o/a%2F..%2Fo%201?alt=media&generation=17",
            "gcs:4443": f"{other}/storage/v1/b/b/o/a%2F..%2Fo%201?alt=media&generation=17",
        }.items():
            self.assertEqual(wire_url("gs://b/a/../o 1?17", endpoint), expected, endpoint)

    def test_what_is_no_generation_is_none(self) -> None:
        for version in ("", "v=1", "0", "-1", "1&x=y", "\u0661", "9" * 20):
            self.assertEqual(wire_url(f"gs://b/o?{version}"), "https://storage.googleapis.com/b/o", version)

    def test_the_separator_is_the_operators(self) -> None:
        self.assertEqual(wire_url("gs://b/o?1;2", separator=";"), "https://storage.googleapis.com/b/o%3F1?generation=2")

    def test_no_bucket_changes_the_host_or_the_path(self) -> None:
        for bucket in ("evil.example@x", "a%2fb", "..", ".", "a b", "a\r\nX: y", "b?x", "é", "a" * 223, "[::1]:80", ""):
            with self.assertRaises(SourceNotFound, msg=bucket):
                store().checked(f"gs://{bucket}/o")
        for key in ("", ".", ".."):
            with self.assertRaises(SourceNotFound, msg=key):
                store().checked(f"gs://b/{key}")

    def test_no_object_of_an_emulator_leads_out_of_its_bucket_where_a_proxy_unescapes_slashes(self) -> None:
        for key in ("../private/a.jpg", "a/../../private/o/a.jpg", "a//..//../x"):
            self.assertRaises(SourceRefused, store("http://gcs:4443").checked, f"gs://pictures/{key}")
            self.assertTrue(store().checked(f"gs://pictures/{key}"))  # Google's own hosts do not

    def test_a_bucket_that_is_denied_is_refused_even_where_it_is_allowed(self) -> None:
        kind = store(rules=BucketRules(("a", "b"), ("b", "c")))
        kind.checked("gs://a/o")
        for bucket in "bcd":
            with self.assertRaises(SourceRefused):
                kind.checked(f"gs://{bucket}/o")

    def test_the_log_says_what_the_operator_can_do(self) -> None:
        xml = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>m</Message></Error>"
        json = b'{"error": {"code": 403, "errors": [{"reason": "forbidden"}]}}'
        for status, body, words in (
            (404, xml % b"NoSuchKey", ""),
            (404, xml % b"NoSuchBucket", "NoSuchBucket: the bucket does not exist"),
            (403, xml % b"AccessDenied", "AccessDenied: access is denied: grant"),
            (403, json, "forbidden: access is denied: grant"),
            (401, b"", "credentials are missing or refused"),
            (400, xml % b"UserProjectMissing", "requesters pay"),
            (400, xml % b"Odd<script>\r\n", "Odd"),
            (500, b"{" * 70000, ""),
        ):
            explained = store().explain(Refusal(OriginRequest("http://x", {}), status, {}, body))
            self.assertIn(words, explained)
            self.assertEqual(bool(words), bool(explained), explained)


class ServerTests(StoreCase):
    """Against fake-gcs-server; what it lacks, conditions and tokens, a proxy before it has."""

    server: GcsServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = GcsServer("pictures", "secret")
        for number, name in enumerate(NAMES):
            cls.server.put("pictures", name, b"%d" % number, contentType="image/jpeg")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def store_settings(self) -> dict[str, Any]:
        return {"gcs": GcsSettings(endpoint=self.server.url)}

    def proxy(self, judge: Any = lambda *_: None) -> StoreProxy:
        proxy = StoreProxy(self.server.port, judge)
        self.addCleanup(proxy.close)
        return proxy

    async def test_every_name_is_read_as_it_was_written(self) -> None:
        for endpoint in (self.server.url, f"{self.server.url}/storage/v1/"):
            for number, name in enumerate(NAMES):
                image = await self.get(f"gs://pictures/{name}", gcs=GcsSettings(endpoint=endpoint))
                self.assertEqual(image.body, b"%d" % number, name)

    async def test_the_xml_api_has_the_same_names(self) -> None:
        sources = self.sources(addresses=AddressPolicy(allow_loopback=True))
        for number, name in enumerate(NAMES):
            url = wire_url(f"gs://pictures/{name}").replace("https://storage.googleapis.com", self.server.url)
            self.assertEqual((await sources.fetch(url, None, {})).body, b"%d" % number, name)

    async def test_an_object_has_its_validators(self) -> None:
        image = await self.get("gs://pictures/a.jpg")
        self.assertRegex(image.etag, '^".+"$')
        self.assertIn("GMT", image.last_modified)
        self.assertEqual(image.content_type, "image/jpeg")

    async def test_the_query_is_the_generation(self) -> None:
        old = self.server.put("pictures", "changed", b"old")
        new = self.server.put("pictures", "changed", b"new")
        for query, body in ((f"?{old}", b"old"), (f"?{new}", b"new"), ("", b"new")):
            self.assertEqual((await self.get(f"gs://pictures/changed{query}")).body, body)

    async def test_what_is_missing_is_missing_and_what_is_denied_is_refused(self) -> None:
        for url in ("gs://pictures/none", "gs://no-bucket/a.jpg", "gs://pictures/a.jpg?12345"):
            with self.assertRaises(SourceMissing) as caught:
                await self.get(url)
            self.assertEqual(caught.exception.message, "the origin answered 404")
        gcs = GcsSettings(endpoint=self.server.url, buckets=BucketRules(("pictures", "secret"), ("secret",)))
        self.server.put("secret", "a.jpg", b"hidden")
        with self.assertRaises(SourceRefused):
            await self.get("gs://secret/a.jpg", gcs=gcs)

    async def test_compressed_objects_are_read_whether_the_store_unpacks_them_or_not(self) -> None:
        body = b"picture" * 1000
        self.server.put("pictures", "packed", gzip.compress(body), contentEncoding="gzip")
        self.assertEqual((await self.get("gs://pictures/packed")).body, body)

        def as_stored(path: str, headers: Mapping[str, str]) -> Answer:
            return 200, {"Content-Encoding": "gzip", "ETag": '"1"'}, gzip.compress(body)

        gcs = GcsSettings(endpoint=self.proxy(as_stored).url)
        self.assertEqual((await self.get("gs://pictures/packed", gcs=gcs)).body, body)

    async def test_ranges(self) -> None:
        self.server.put("pictures", "ten", b"0123456789")
        part = await self.stream("gs://pictures/ten", {"range": "bytes=2-4"})
        assert part.head is not None
        self.assertEqual((part.head.status, part.body), (206, b"234"))
        self.assertEqual(part.head.headers["content-range"], "bytes 2-4/10")
        past = await self.stream("gs://pictures/ten", {"range": "bytes=20-"})
        assert past.head is not None
        self.assertEqual((past.head.status, past.head.headers["content-range"]), (416, "bytes */10"))
        whole = await self.stream("gs://pictures/ten", {"range": "bytes=2-4", "if-range": '"other"'})
        self.assertEqual(whole.body, b"0123456789")

    async def test_conditions_are_sent_and_304_means_not_modified(self) -> None:
        date = "Wed, 21 Oct 2015 07:28:00 GMT"

        def judge(path: str, headers: Mapping[str, str]) -> Answer | None:
            same = headers.get("if-none-match") == '"x"' or headers.get("if-modified-since") == date
            return (304, {"ETag": '"x"'}, b"") if same else None

        gcs = GcsSettings(endpoint=self.proxy(judge).url)
        for condition in ({"if-none-match": '"x"'}, {"if-modified-since": date}):
            image = await self.get("gs://pictures/a.jpg", condition, gcs=gcs)
            self.assertEqual((image.not_modified, image.etag, image.body), (True, '"x"', b""))
        self.assertEqual((await self.get("gs://pictures/a.jpg", {"if-none-match": '"y"'}, gcs=gcs)).body, b"0")

    async def test_an_outage_is_no_missing_object_and_is_tried_again(self) -> None:
        for status in (429, 500, 503):
            answers = [status]

            def judge(path: str, headers: Mapping[str, str], answers: list[int] = answers) -> Answer | None:
                return (answers.pop(), {}, b"<Error><Code>SlowDown</Code></Error>") if answers else None

            proxy = self.proxy(judge)
            image = await self.get("gs://pictures/a.jpg", gcs=GcsSettings(endpoint=proxy.url))
            self.assertEqual((image.body, len(proxy.requests)), (b"0", 2))
            proxy.judge = lambda *_, status=status: (status, {}, b"<Error><Code>Secret</Code></Error>")
            with self.assertRaises(OriginFailed) as caught:
                await self.get("gs://pictures/a.jpg", gcs=GcsSettings(endpoint=proxy.url))
            self.assertEqual(caught.exception.message, f"the origin answered {status}")

    async def test_the_token_of_a_key_is_sent(self) -> None:
        tokens = TokenServer()
        self.addCleanup(tokens.close)

        def judge(path: str, headers: Mapping[str, str]) -> Answer | None:
            return None if tokens.accepts(headers.get("authorization", "")) else (401, {}, b"")

        proxy = self.proxy(judge)
        key = service_account(f"{tokens.url}/token")
        image = await self.get("gs://pictures/a.jpg", gcs=GcsSettings(key, proxy.url))
        self.assertEqual((image.body, len(tokens.issued)), (b"0", 1))
        (asked,) = tokens.requests
        self.assertEqual(asked[2]["grant_type"], ["urn:ietf:params:oauth:grant-type:jwt-bearer"])

    async def test_a_store_that_refuses_every_token_is_an_outage_and_not_asked_without_end(self) -> None:
        tokens = TokenServer()
        self.addCleanup(tokens.close)
        proxy = self.proxy(lambda *_: (401, {}, b"<Error><Code>AuthenticationRequired</Code></Error>"))
        gcs = GcsSettings(service_account(f"{tokens.url}/token"), proxy.url)
        with self.assertRaises(OriginFailed) as caught:
            await self.get("gs://pictures/a.jpg", gcs=gcs, store_retries=0)
        self.assertEqual(caught.exception.message, "this server cannot authenticate with the object store")
        self.assertIn("credentials are missing or refused", caught.exception.cause)
        self.assertEqual((len(tokens.issued), len(proxy.requests)), (2, 2))

    async def test_the_list_of_allowed_sources_takes_prefixes_of_buckets(self) -> None:
        self.server.put("pictures", "public/a.jpg", b"public")
        allowed = ("gs://pictures/public/",)
        image = await self.get("gs://pictures/public/a.jpg", allowed_sources=allowed)
        self.assertEqual(image.body, b"public")
        for url in ("gs://pictures/a.jpg", "gs://pictures//public/a.jpg", "gs://pictures/public/../a.jpg"):
            with self.assertRaises(SourceRefused):
                await self.get(url, allowed_sources=allowed)

    async def test_without_a_key_an_emulator_is_asked_without_a_token(self) -> None:
        proxy = self.proxy()
        await self.get("gs://pictures/a.jpg", gcs=GcsSettings(endpoint=proxy.url))
        self.assertNotIn("authorization", proxy.requests[0][1])

    async def test_only_what_a_store_needs_is_sent(self) -> None:
        proxy = self.proxy()
        await self.get(
            "gs://pictures/a.jpg",
            {"cookie": "a=b", "authorization": "Bearer client", "x-custom": "1"},
            gcs=GcsSettings(endpoint=proxy.url),
            custom_headers={"x-operator": "1"},
        )
        self.assertLessEqual(
            set(proxy.requests[0][1]), {"host", "user-agent", "accept", "accept-encoding", "connection"}
        )
