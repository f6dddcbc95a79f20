"""Originals from an S3 server that refuses, moves, throttles and breaks off; the server is moto's, behind a proxy."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM
from typing import Any
from unittest.mock import patch

from twisted.internet.interfaces import IConsumer
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from imgforge.concurrency import DaemonThreadPool
from imgforge.errors import (
    ImgforgeError,
    OriginFailed,
    OriginTimeout,
    SourceMissing,
    SourceNotFound,
    SourceRefused,
    UnknownScheme,
)
from imgforge.model import SourceHead
from imgforge.sources import BucketRules, S3Settings, SourceRegistry, SourceSettings
from imgforge.sources.http import IOriginKind
from imgforge.sources.resolver import Resolver
from imgforge.sources.stores.s3 import S3Factory, S3Store
from imgforge.sources.stores.s3_addressing import S3Addressing
from imgforge.sources.stores.s3_signature import scope_of
from imgforge.sources.stores.setting_mistakes import StoreMistake
from imgforge.sources.stores.store_source import StoreSource
from tests.support.fault_proxy import PASS, RESET, Fault, FaultProxy, ProxiedRequest, answer
from tests.support.logged_lines import logged_lines
from tests.support.s3_server import S3Server
from tests.support.scripted_origin import reactor
from tests.support.server_reactor import server_reactor

ODD_KEYS = ("a//b", "a/../b", "./a", "a+b", "a%2Fb", "a b", "ä/日本.jpg", "a#c", "a&b=c;d", "100%", "*'()!~", "x/")
# What must never reach a client.
SECRETS = ("<", "AKID", "sesame", "127.0.0.1", "AccessDenied", "HostId", "RequestId", "amazonaws")


def error(code: str, status: int, rest: str = "", **headers: str) -> Fault:
    """An answer as Amazon writes it."""
    xml = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code>{rest}<AWSAccessKeyId>AKID</AWSAccessKeyId></Error>'
    return answer(status, xml, Content_Type="application/xml", **headers)


class S3Case(TestCase):
    server: S3Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = S3Server()
        cls.server.put("photos", "a.jpg", b"picture", ContentType="image/jpeg")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def setUp(self) -> None:
        self.proxy = FaultProxy(self.server.host)
        self.addCleanup(self.proxy.close)
        self.lines = logged_lines(self, "imgforge")
        self.set_environment({"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "sesame"})

    def set_environment(self, variables: dict[str, str]) -> None:
        clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
        patcher = patch.dict(os.environ, clean | variables, clear=True)
        patcher.start()
        self.addCleanup(patcher.stop)

    def source(self, timeout: float = 20, retries: int = 2, **s3: Any) -> StoreSource:
        settings = SourceSettings(
            download_timeout=timeout,
            store_retries=retries,
            custom_headers={"x-for-the-web": "yes"},
            s3=S3Settings(**{"endpoint": self.proxy.host, "region": "us-east-1"} | s3),
        )
        made = S3Factory().make(server_reactor, settings)
        assert made is not None
        self.addCleanup(made.close)
        return made

    async def body(self, source: StoreSource, url: str = "s3://photos/a.jpg") -> bytes:
        return (await source.fetch(url, 1 << 20, {})).body

    async def failure(
        self, kind: type[ImgforgeError], source: StoreSource, url: str = "s3://photos/a.jpg"
    ) -> ImgforgeError:
        try:
            await self.body(source, url)
        except kind as caught:
            for secret in SECRETS:
                self.assertNotIn(secret, caught.message)
            self.assertNotIn("sesame", caught.logged + "".join(self.lines))
            self.assertNotIn("AKID", caught.logged + "".join(self.lines))
            return caught
        raise AssertionError("it was served")


class FetchTests(S3Case):
    def test_it_is_a_kind_of_origin(self) -> None:
        store = S3Store(SourceSettings(), S3Addressing(S3Settings(), {}), None)  # type: ignore[arg-type]
        self.assertTrue(verifyObject(IOriginKind, store))

    async def test_an_original_has_its_validators(self) -> None:
        source = self.source()
        image = await source.fetch("s3://photos/a.jpg", 100, {})
        self.assertEqual((image.body, image.content_type), (b"picture", "image/jpeg"))
        self.assertTrue(image.etag and image.last_modified)
        again = await source.fetch("s3://photos/a.jpg", 100, {"if-none-match": image.etag})
        self.assertTrue(again.not_modified)
        self.assertEqual(again.etag, image.etag)

    async def test_odd_keys_go_out_as_they_are_signed(self) -> None:
        source = self.source()
        for key in ODD_KEYS:
            self.server.put("photos", key, key.encode())
            self.assertEqual(await self.body(source, f"s3://photos/{key}"), key.encode())
        self.assertEqual(self.proxy.targets()[:5], [
            "/photos/a//b", "/photos/a/../b", "/photos/./a", "/photos/a%2Bb", "/photos/a%252Fb"])  # fmt: skip

    async def test_a_version_is_named_after_the_separator(self) -> None:
        self.server.put("kept", "a", b"none")
        self.server.s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        first = self.server.put("kept", "a", b"first")["VersionId"]
        self.server.put("kept", "a", b"second")
        source = self.source()
        self.assertEqual(await self.body(source, f"s3://kept/a?{first}"), b"first")
        self.assertEqual(await self.body(source, "s3://kept/a"), b"second")
        await self.failure(SourceNotFound, source, "s3://kept/a?no-such-version")

    async def test_headers_for_the_web_do_not_go_to_stores(self) -> None:
        await self.body(self.source())
        self.assertNotIn("x-for-the-web", self.proxy.requests[0].headers)

    async def test_a_missing_key_or_bucket(self) -> None:
        source = self.source()
        await self.failure(SourceMissing, source, "s3://photos/missing")
        await self.failure(SourceMissing, source, "s3://no-such-bucket/a")
        self.assertTrue(any("there is no such bucket" in line for line in self.lines), self.lines)
        self.assertFalse(any("s3://photos/missing" in line for line in self.lines), self.lines)

    async def test_a_part_of_an_original(self) -> None:
        heads: list[SourceHead] = []
        received = StringTransport()

        def started(head: SourceHead) -> IConsumer:
            heads.append(head)
            return received

        source = self.source()
        await source.stream("s3://photos/a.jpg", {"range": "bytes=1-3"}, started)
        await source.stream("s3://photos/a.jpg", {"range": "bytes=-2"}, started)
        self.assertEqual(received.value(), b"ictre")
        self.assertEqual([head.status for head in heads], [206, 206])
        self.assertEqual(heads[0].headers["content-range"], "bytes 1-3/7")


class PolicyTests(S3Case):
    async def test_buckets_that_are_not_allowed(self) -> None:
        source = self.source(buckets=BucketRules(allowed=("photos", "both"), denied=("both",)))
        self.assertEqual(await self.body(source), b"picture")
        for bucket in ("both", "other"):
            await self.failure(SourceRefused, source, f"s3://{bucket}/a.jpg")
        self.assertEqual(len(self.proxy.requests), 1)

    async def test_a_key_does_not_leave_its_bucket(self) -> None:
        source = self.source()
        for key in ("../other/a", "a/../../other/a", "a//../../other/a", "./../other", ".."):
            await self.failure(SourceRefused, source, f"s3://photos/{key}")
        for url in ("s3://photos:80/a", "s3://user@photos/a", "s3://../a", "s3://photos%2fx/a", "s3:///photos/a"):
            await self.failure(SourceNotFound, source, url)
        self.assertEqual(self.proxy.requests, [])

    def resolve_every_name(self) -> None:
        """Have every name lead to this machine."""
        pool = DaemonThreadPool(minthreads=0, maxthreads=1, name="test-names")
        pool.start()
        self.addCleanup(pool.stop)
        before = reactor.installNameResolver(Resolver(server_reactor, pool, _loopback))
        self.addCleanup(reactor.installNameResolver, before)

    async def test_an_access_point_stands_for_its_bucket(self) -> None:
        arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
        port = self.proxy.host.partition(":")[2]
        source = self.source(endpoint=f"localhost:{port}", access_points={"photos": arn, "renamed": "photos"})
        self.proxy.choose = lambda _: answer(200, b"through it")
        self.assertEqual(await self.body(source, "s3://renamed/a.jpg"), b"through it")
        self.assertEqual(self.proxy.requests[0].target, "/photos/a.jpg")
        self.resolve_every_name()
        self.assertEqual(await self.body(source), b"through it")
        request = self.proxy.requests[1]
        self.assertEqual(request.headers["host"], f"mine-123456789012.localhost:{port}")
        self.assertEqual(request.target, "/a.jpg")
        scope = scope_of(request.headers)
        self.assertEqual(scope and scope.region, "eu-west-1")

    async def test_it_is_served_only_where_it_is_switched_on(self) -> None:
        sources = SourceRegistry(server_reactor, SourceSettings())
        self.addCleanup(sources.close)
        failed: Any = await self.assertFailure(sources.fetch("s3://photos/a.jpg", None, {}), UnknownScheme)
        self.assertEqual(failed.message, "no source for 's3': IMGFORGE_USE_S3 is not set")

    def test_settings_that_cannot_be_used_end_the_start(self) -> None:
        with self.assertRaises(StoreMistake):
            S3Factory().make(server_reactor, SourceSettings(s3=S3Settings(endpoint="http://")))

    def test_connections_that_are_opened_at_the_start(self) -> None:
        def store(**s3: Any) -> S3Store:
            settings = S3Settings(**s3)
            return S3Store(SourceSettings(s3=settings), S3Addressing(settings, {}), None)  # type: ignore[arg-type]

        self.assertEqual(store(endpoint="minio:9000").endpoints, ("http://minio:9000",))
        self.assertEqual(store().endpoints, ())
        hosts = store(buckets=BucketRules(allowed=("a-b", "a-c", "a.b")), region="eu-west-3").endpoints
        self.assertEqual(hosts, tuple(f"https://{bucket}s3.eu-west-3.amazonaws.com" for bucket in ("a-b.", "a-c.", "")))


def _loopback(_host: str, port: int, *_: Any, **__: Any) -> Any:
    return [(AF_INET, SOCK_STREAM, IPPROTO_TCP, "", ("127.0.0.1", port))]


class CorrectionTests(S3Case):
    def lies_in(self, region: str, refusal: Callable[[], Fault]) -> None:
        """Have the bucket lie in *region*: others get the *refusal*."""

        def choose(request: ProxiedRequest) -> Fault:
            scope = scope_of(request.headers)
            return PASS if scope is not None and scope.region == region else refusal()

        self.proxy.choose = choose

    async def test_another_region_is_learnt_and_remembered(self) -> None:
        region = "<Region>eu-west-3</Region>"
        for refusal in (
            error("PermanentRedirect", 301, x_amz_bucket_region="eu-west-3"),
            error("AuthorizationHeaderMalformed", 400, region),
            answer(301, x_amz_bucket_region="eu-west-3"),
            error(
                "IllegalLocationConstraintException",
                400,
                "<Message>The eu-west-3 location constraint is incompatible for the endpoint.</Message>",
            ),
        ):
            self.lies_in("eu-west-3", lambda refusal=refusal: refusal)  # type: ignore[misc]
            before, source = len(self.proxy.requests), self.source()
            self.assertEqual(await self.body(source), b"picture")
            self.assertEqual(await self.body(source), b"picture")
            self.assertEqual(len(self.proxy.requests) - before, 3)

    async def test_a_bucket_that_keeps_moving_is_asked_twice(self) -> None:
        regions = iter(("eu-west-1", "eu-west-2", "eu-west-3"))
        self.proxy.choose = lambda _: error("PermanentRedirect", 301, x_amz_bucket_region=next(regions))
        caught = await self.failure(OriginFailed, self.source(retries=0))
        self.assertEqual(len(self.proxy.requests), 2)
        self.assertIn("IMGFORGE_S3_REGION", caught.cause)

    async def test_a_region_that_is_none_is_not_followed(self) -> None:
        for region in ("evil.example", "us-east-1", "x" * 70):
            self.proxy.choose = lambda _, region=region: error("X", 400, x_amz_bucket_region=region)  # type: ignore[misc]
            before = len(self.proxy.requests)
            await self.failure(SourceNotFound, self.source())
            self.assertEqual(len(self.proxy.requests) - before, 1)

    async def test_a_skewed_clock_is_corrected_once(self) -> None:
        stores = datetime.now(UTC) + timedelta(hours=3)

        def choose(request: ProxiedRequest) -> Fault:
            sent = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            if abs(sent - stores) < timedelta(minutes=15):
                return PASS
            return error("RequestTimeTooSkewed", 403, Date=f"{stores:%a, %d %b %Y %H:%M:%S GMT}")

        self.proxy.choose = choose
        source = self.source()
        self.assertEqual(await self.body(source), b"picture")
        self.assertEqual(await self.body(source), b"picture")
        self.assertEqual(len(self.proxy.requests), 3)
        (line,) = [line for line in self.lines if "clock" in line]
        self.assertRegex(line, "the clock of this machine is off by -(10800|10799|10801) s from the store's")

    async def test_a_date_that_python_cannot_count_on_from_is_not_followed(self) -> None:
        self.proxy.choose = lambda _: error("RequestTimeTooSkewed", 403, Date="Fri, 31 Dec 9999 23:59:59 GMT")
        source = self.source()
        await self.failure(SourceNotFound, source)
        self.proxy.choose = lambda _: PASS
        self.assertEqual(await self.body(source), b"picture")

    async def test_a_store_that_refuses_every_clock(self) -> None:
        for date in ("", "nonsense", f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}"):
            self.proxy.choose = lambda _, date=date: error("RequestTimeTooSkewed", 403, Date=date)  # type: ignore[misc]
            before = len(self.proxy.requests)
            caught = await self.failure(SourceNotFound, self.source())
            self.assertIn("synchronise", caught.cause)
            self.assertEqual(len(self.proxy.requests) - before, 1)

    async def test_an_expired_token_is_replaced(self) -> None:
        def choose(request: ProxiedRequest) -> Fault:
            expired = request.headers.get("x-amz-security-token") == "old"
            return error("ExpiredToken", 400) if expired else PASS

        keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "sesame"}
        self.set_environment(keys | {"AWS_SESSION_TOKEN": "old"})
        source = self.source()
        self.assertEqual(await self.body(source), b"picture")
        self.proxy.choose = choose
        self.set_environment(keys | {"AWS_SESSION_TOKEN": "new"})
        self.assertEqual(await self.body(source), b"picture")
        self.assertEqual(self.proxy.requests[-1].headers["x-amz-security-token"], "new")

    async def test_an_expired_token_without_another_is_an_outage(self) -> None:
        for code, status in (("ExpiredToken", 400), ("InvalidToken", 400), ("TokenRefreshRequired", 403)):
            self.proxy.choose = lambda _, code=code, status=status: error(code, status)  # type: ignore[misc]
            caught = await self.failure(OriginFailed, self.source(retries=0))
            self.assertIn(code, caught.cause)

    async def test_a_store_that_rejects_the_new_token_as_well_is_an_outage(self) -> None:
        keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "sesame"}
        for code, status in (("ExpiredToken", 400), ("InvalidToken", 400), ("TokenRefreshRequired", 403), ("", 401)):
            self.set_environment(keys | {"AWS_SESSION_TOKEN": "old"})
            self.proxy.choose = lambda _: PASS
            source = self.source(retries=0)
            self.assertEqual(await self.body(source), b"picture")
            self.set_environment(keys | {"AWS_SESSION_TOKEN": "new"})
            self.proxy.choose = lambda _, code=code, status=status: error(code, status)  # type: ignore[misc]
            before = len(self.proxy.requests)
            caught = await self.failure(OriginFailed, source)
            self.assertEqual(caught.message, "this server cannot authenticate with the object store")
            tokens = [request.headers["x-amz-security-token"] for request in self.proxy.requests[before:]]
            self.assertEqual(tokens, ["old", "new"] if code else ["old"])

    async def test_an_unknown_key_is_no_outage(self) -> None:
        self.proxy.choose = lambda _: error("InvalidAccessKeyId", 403)
        caught = await self.failure(SourceNotFound, self.source())
        self.assertIn("AWS_ACCESS_KEY_ID", caught.cause)

    async def test_without_credentials_it_fails_and_says_why(self) -> None:
        self.set_environment({})
        caught = await self.failure(OriginFailed, self.source(retries=0))
        self.assertIn("botocore finds none", caught.cause)
        self.assertEqual(self.proxy.requests, [])
        self.assertTrue(any("cannot get credentials: botocore finds none" in line for line in self.lines))


class HarmTests(S3Case):
    """Nothing half is served; what is tried again comes."""

    async def served_after(self, *faults: Fault) -> None:
        faults_left = list(faults)
        self.proxy.choose = lambda _: faults_left.pop(0) if faults_left else PASS
        before = len(self.proxy.requests)
        self.assertEqual(await self.body(self.source()), b"picture")
        self.assertEqual(len(self.proxy.requests) - before, len(faults) + 1)

    async def test_faults_are_tried_again(self) -> None:
        slow = error("SlowDown", 503)
        for fault in (slow, error("InternalError", 500), answer(502), answer(504), RESET, Fault(b""), Fault(cut=3),
                      Fault(lie=5), Fault(cut=3, reset=True)):  # fmt: skip
            await self.served_after(fault)
            await self.served_after(fault, fault)

    async def test_after_as_many_tries_as_are_set_it_is_an_outage(self) -> None:
        for fault in (error("SlowDown", 503), RESET, Fault(cut=3), Fault(lie=5)):
            self.proxy.choose = lambda _, fault=fault: fault  # type: ignore[misc]
            before = len(self.proxy.requests)
            await self.failure(OriginFailed, self.source(retries=1))
            self.assertEqual(len(self.proxy.requests) - before, 2)

    async def test_silence_is_a_timeout(self) -> None:
        for fault in (Fault(cut=3, stall=True), Fault(b"HTTP/1.1 200 OK\r\n", stall=True)):
            self.proxy.choose = lambda _, fault=fault: fault  # type: ignore[misc]
            await self.failure(OriginTimeout, self.source(timeout=0.5))

    async def test_a_refusal_is_not_tried_again(self) -> None:
        for fault in (error("AccessDenied", 403), error("SignatureDoesNotMatch", 403), error("InvalidArgument", 400)):
            self.proxy.choose = lambda _, fault=fault: fault  # type: ignore[misc]
            before = len(self.proxy.requests)
            await self.failure(SourceNotFound, self.source())
            self.assertEqual(len(self.proxy.requests) - before, 1)

    async def test_a_store_that_is_down_is_an_outage(self) -> None:
        self.proxy.close()
        await self.failure(OriginFailed, self.source(retries=0))
