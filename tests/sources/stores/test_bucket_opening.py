"""The buckets that imgforge itself reads and writes: the same of every store, against its real server."""

from __future__ import annotations

import os
import time
from email.utils import formatdate
from typing import Any, ClassVar
from unittest.mock import patch

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from imgforge.object_stores import IObjectStore, ObjectStoreError, ObjectTooLarge
from imgforge.sources import (
    AzureSettings,
    BucketUse,
    GcsSettings,
    S3Settings,
    SourceSettings,
    SwiftSettings,
    bucket_mistakes,
    open_bucket,
)
from tests.support.azure_server import ACCOUNT, KEY, AzureServer
from tests.support.gcs_server import GcsServer
from tests.support.s3_server import S3Server
from tests.support.scripted_origin import ScriptedOrigin
from tests.support.server_reactor import server_reactor
from tests.support.swift_server import RealSwift
from tests.support.versity_server import VersityServer

BODY = bytes(range(256)) * 2000  # 512 kB
PAGE = 20  # objects, in place of 1000: Swift in one process fails under so many writes


class BucketCase(TestCase):
    """Opens buckets that are closed at the end of a test."""

    environment: ClassVar[dict[str, str]] = {}

    def open(self, store: Any, bucket: str = "cache", timeout: float = 30) -> Any:
        patched = patch.dict(os.environ, self.environment)
        patched.start()
        self.addCleanup(patched.stop)
        opened: Any = open_bucket(server_reactor, SourceSettings(), BucketUse(bucket, store, timeout))
        opened.page_size = PAGE
        self.addCleanup(opened.close)
        return opened

    async def assert_refused(self, refused: Deferred[Any], *words: str) -> None:
        try:
            result = await refused
        except ObjectStoreError as error:
            for word in words:
                self.assertIn(word, str(error))
        else:
            raise AssertionError(f"ObjectStoreError was expected, not {result!r}")


class _StoreTests:
    """What every store does. `store` are its settings; the bucket "cache" is there and empty before each class."""

    server: Any
    store: Any
    no_bucket = "there is no such"

    def bucket(self: Any, name: str = "cache") -> Any:
        return self.open(self.store, name)

    async def test_it_is_an_object_store(self: Any) -> None:
        bucket = self.bucket()
        self.assertTrue(verifyObject(IObjectStore, bucket))
        await bucket.size_of("missing")  # the login, which begins with the reactor, else falls into the next test

    async def test_an_object_is_written_read_replaced_and_removed(self: Any) -> None:
        bucket = self.bucket()
        for name in ("ab12", "some where/ü+%2F/ab12"):
            self.assertIsNone(await bucket.get(name, 1000))
            self.assertIsNone(await bucket.size_of(name))
            await bucket.put(name, BODY, "application/octet-stream", 3600)
            self.assertEqual(await bucket.size_of(name), len(BODY))
            self.assertEqual(await bucket.get(name, len(BODY)), BODY)
            await bucket.put(name, b"another", "application/json")
            self.assertEqual(await bucket.get(name, 7), b"another")
            await bucket.remove(name)
            self.assertIsNone(await bucket.get(name, 1000))
            await bucket.remove(name)

    async def test_no_more_is_read_than_the_limit(self: Any) -> None:
        bucket = self.bucket()
        await bucket.put("large", BODY, "application/octet-stream")
        try:
            await bucket.get("large", len(BODY) - 1)
        except ObjectTooLarge as error:
            self.assertIn("bytes", str(error))
        else:
            raise AssertionError("ObjectTooLarge was expected")
        self.assertEqual(await bucket.get_start("large", 300), BODY[:300])
        self.assertEqual(await bucket.get("large", len(BODY)), BODY)
        await bucket.put("short", b"0123", "application/octet-stream")
        self.assertEqual(await bucket.get_start("short", 300), b"0123")
        self.assertIsNone(await bucket.get_start("missing", 300))

    async def test_a_listing_goes_on_from_page_to_page(self: Any) -> None:
        bucket = self.bucket()
        names = [f"listed/{number:04}" for number in range(PAGE + 3)]
        await gatherResults([bucket.put(name, name.encode(), "text/plain") for name in ["liste", "listee", *names]])
        self.assertEqual((await bucket.page("nothing")).objects, [])
        first = await bucket.page("listed/")
        self.assertEqual([each.name for each in first.objects], names[:PAGE])
        self.assertTrue(first.marker)
        second = await bucket.page("listed/", first.marker)
        self.assertEqual([each.name for each in second.objects], names[PAGE:])
        self.assertEqual(second.marker, "")
        for each in (*first.objects, *second.objects):
            self.assertEqual(each.size, 11)
            self.assertLess(abs(each.modified - time.time()), 60)

    async def test_a_bucket_that_is_missing_is_no_missing_object(self: Any) -> None:
        bucket = self.bucket("no-such-bucket")
        await self.assert_refused(bucket.put("a", b"x", "text/plain"), bucket.where, "404", self.no_bucket)
        await self.assert_refused(bucket.page(""), bucket.where, "404")

    async def test_the_clocks_of_this_machine_agree(self: Any) -> None:
        bucket = self.bucket()
        await bucket.get("missing", 10)
        self.assertEqual(bucket.ahead(), 0)


class VersityTests(_StoreTests, BucketCase):
    server: VersityServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = VersityServer("cache")
        cls.environment = cls.server.environment
        cls.store = S3Settings(region="us-east-1", endpoint=cls.server.url)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    async def test_a_wrong_secret_is_named(self) -> None:
        self.environment = self.environment | {"AWS_SECRET_ACCESS_KEY": "wrong"}  # type: ignore[misc]
        await self.assert_refused(self.bucket().put("a", b"x", "text/plain"), "SignatureDoesNotMatch", "secret key")

    async def test_an_object_of_no_bytes(self) -> None:
        bucket = self.bucket()
        await bucket.put("empty", b"", "text/plain")
        self.assertEqual(await bucket.size_of("empty"), 0)
        self.assertEqual(await bucket.get("empty", 10), b"")
        self.assertEqual(await bucket.get_start("empty", 10), b"")


class MotoTests(BucketCase):
    """moto checks who may do what."""

    def setUp(self) -> None:
        self.server = S3Server()
        self.addCleanup(self.server.close)
        self.server.put("cache", "kept/a", b"x")
        self.store = S3Settings(region="us-east-1", endpoint=self.server.url)

    def open_as(self, *actions: str) -> Any:
        resources = ["arn:aws:s3:::cache", "arn:aws:s3:::cache/*"]
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
        self.environment = self.server.user("cache", statement)  # type: ignore[misc]
        self.server.check_access()
        return self.open(self.store)

    async def test_the_documented_permissions_are_enough(self) -> None:
        bucket = self.open_as("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket")
        await bucket.put("a", b"x", "text/plain")
        self.assertEqual(await bucket.get("a", 1), b"x")
        self.assertEqual(await bucket.size_of("a"), 1)
        self.assertEqual([each.name for each in (await bucket.page("")).objects], ["a", "kept/a"])
        await bucket.remove("a")
        self.assertIsNone(await bucket.get("a", 1))

    async def test_what_is_missing_is_named(self) -> None:
        bucket = self.open_as("s3:GetObject")
        await self.assert_refused(bucket.put("a", b"x", "text/plain"), "AccessDenied", "s3:PutObject")
        await self.assert_refused(bucket.remove("kept/a"), "AccessDenied", "s3:DeleteObject")


class GcsTests(_StoreTests, BucketCase):
    server: GcsServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = GcsServer("cache")
        cls.store = GcsSettings(endpoint=cls.server.url)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()


class AzureTests(_StoreTests, BucketCase):
    server: AzureServer
    no_bucket = "the container does not exist"

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = AzureServer("cache")
        cls.store = AzureSettings(ACCOUNT, KEY, cls.server.url)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()


class SwiftTests(_StoreTests, BucketCase):
    server: RealSwift

    def setUp(self) -> None:
        self.server = RealSwift()  # for each test: after so many requests its eventlet drops a connection
        self.addCleanup(self.server.close)
        self.server.put("cache", "first", b"x")
        self.store = SwiftSettings("test:tester", "testing", self.server.auth_url)

    async def test_a_revoked_token_is_replaced(self) -> None:
        bucket = self.bucket()
        await bucket.put("a", b"x", "text/plain")
        self.server.forget_tokens()
        self.assertEqual(await bucket.get("a", 1), b"x")


class FaultTests(BucketCase):
    """A store that is malformed, late or gone."""

    environment: ClassVar[dict[str, str]] = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

    def bucket(self, answer: bytes, timeout: float = 30) -> Any:
        origin = ScriptedOrigin(lambda _: answer)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        return self.open(S3Settings(endpoint=origin.url("").rstrip("/")), timeout=timeout)

    async def test_malformed_listings_are_refused(self) -> None:
        bomb = b'<!DOCTYPE a [<!ENTITY b "%s">]><ListBucketResult><Contents><Key>&b;</Key><Size>1</Size>'
        for body in (
            b"",
            b"no XML",
            b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            b"<ListBucketResult><Contents><Key>a</Key><Size>-1</Size><LastModified>2026-01-01T00:00:00Z"
            b"</LastModified></Contents></ListBucketResult>",
            bomb % (b"x" * 1000),
        ):
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            await self.assert_refused(self.bucket(head + body).page(""), "s3://cache: a malformed answer")

    async def test_entities_are_not_expanded(self) -> None:
        body = (
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><ListBucketResult><Contents><Key>k&b;</Key>'
            b"<Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>"
        )
        page = await self.bucket(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body).page("")
        self.assertEqual([each.name for each in page.objects], ["k"])

    async def test_a_listing_that_repeats_itself_is_refused_and_one_of_others_is_left_out(self) -> None:
        one = b"<Contents><Key>%s</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
        body = b"<ListBucketResult>%s%s<IsTruncated>true</IsTruncated></ListBucketResult>" % (one % b"ba", one % b"ab")
        bucket = self.bucket(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        page = await bucket.page("a")
        self.assertEqual(([each.name for each in page.objects], page.marker), (["ab"], "ab"))
        await self.assert_refused(bucket.page("a", page.marker), "the listing does not go on")

    async def test_a_listing_without_end_is_given_up(self) -> None:
        await self.assert_refused(
            self.bucket(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").page(""), "more than"
        )

    async def test_a_silent_store_is_late(self) -> None:
        await self.assert_refused(self.bucket(b"", timeout=0.2).get("a", 10), "s3://cache", "longer than 0.2 seconds")

    async def test_a_store_that_is_gone(self) -> None:
        self.environment = dict(self.environment)  # type: ignore[misc]
        await self.assert_refused(
            self.open(S3Settings(endpoint="http://127.0.0.1:1")).get("a", 10), "cannot be reached"
        )

    async def test_a_store_whose_clock_is_ahead(self) -> None:
        began = time.time()
        date = formatdate(began + 5000, usegmt=True)
        bucket = self.bucket(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
        await bucket.get("a", 10)
        self.assertTrue(4998 - (time.time() - began) < bucket.ahead() < 5002)


class MistakeTests(BucketCase):
    def test_mistakes_name_the_settings_of_the_cache(self) -> None:
        for store, bucket, line in (
            (S3Settings(endpoint="ftp://x"), "cache", "IMGFORGE_CACHE_S3_ENDPOINT='ftp://x' must be the URL"),
            (S3Settings(), "no bucket", "IMGFORGE_CACHE_BUCKET='no bucket' is no name of a bucket"),
            (GcsSettings(key="{"), "cache", "IMGFORGE_CACHE_GCS_KEY must hold the key"),
            (GcsSettings(endpoint="ftp://x"), "cache", "IMGFORGE_CACHE_GCS_ENDPOINT='ftp://x' must be a URL"),
            (AzureSettings(), "cache", "IMGFORGE_CACHE_USE=abs needs IMGFORGE_CACHE_ABS_NAME"),
            (AzureSettings("a", "!"), "cache", "IMGFORGE_CACHE_ABS_KEY must be the account's key in base64"),
            (SwiftSettings(auth_url="ftp://x"), "cache", "IMGFORGE_CACHE_SWIFT_AUTH_URL='ftp://x' must be a URL"),
        ):
            (mistake,) = bucket_mistakes(BucketUse(bucket, store))
            self.assertIn(line, mistake)
