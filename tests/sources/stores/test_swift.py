"""Originals in Swift: names, tokens, refusals and faults, against a small store on loopback."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from imgforge.errors import OriginFailed, OriginTimeout, SourceMissing, SourceNotFound, SourceRefused
from imgforge.sources import BucketRules, SourceRegistry, SourceSettings, SwiftSettings
from imgforge.sources.http import IOriginKind
from imgforge.sources.stores.swift import SwiftOrigins
from imgforge.sources.stores.swift_login import swift_tokens
from imgforge.testing.memory_source import MemoryConsumer
from tests.support.logged_lines import logged_lines
from tests.support.paced_reactor import PacedReactor
from tests.support.scripted_origin import reactor, until
from tests.support.swift_server import SmallSwift


class LaterReactor:
    """The reactor, with a clock that is *ahead*."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def seconds(self) -> float:
        return float(reactor.seconds()) + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class SwiftCase(TestCase):
    def setUp(self) -> None:
        self.lines = logged_lines(self)
        self.clock: Any = LaterReactor()

    def store(self, version: int = 1) -> SmallSwift:
        store = SmallSwift(version)
        self.addCleanup(store.close)
        store.put("images", "a.png", b"picture")
        return store

    async def sources(self, store: SmallSwift, swift: dict[str, Any] | None = None, **chosen: Any) -> SourceRegistry:
        """A registry that has authenticated, or tried to."""
        own = SwiftSettings("test:tester", "testing", store.auth_url, tenant="images")
        settings = SourceSettings(swift=replace(own, **(swift or {})), **({"store_retries": 0} | chosen))
        sources = SourceRegistry(self.clock, settings)
        self.addCleanup(sources.close)
        await until(lambda: any(line.startswith("swift: ") for line in self.lines))
        return sources

    async def fetch(self, sources: SourceRegistry, url: str = "swift://images/a.png", **headers: str) -> bytes:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await sources.fetch(url, None, named)).body


class NameTests(SwiftCase):
    def kind(self, **chosen: Any) -> SwiftOrigins:
        swift = SwiftSettings("u", "k", "http://127.0.0.1/v1", buckets=BucketRules(**chosen))
        settings = SourceSettings(store_retries=5)
        return SwiftOrigins(settings, swift, swift_tokens(reactor, settings, swift))

    def test_it_is_a_kind_of_origin(self) -> None:
        kind = self.kind()
        self.assertTrue(verifyObject(IOriginKind, kind))
        self.assertEqual(kind.retries, 5)
        self.assertEqual(kind.origin_of("swift://images/a/b.png"), "swift://images")

    def test_query_is_cut_off(self) -> None:
        self.assertEqual(self.kind().checked("swift://images/a.png?multipart-manifest=get"), "swift://images/a.png")

    def test_names_that_lead_out_of_a_container(self) -> None:
        for key in ("../b", "a/../../b", "a//../../b", "./../b", "a/b/../../../c/d", "..", "/../b"):
            self.assertRaises(SourceRefused, self.kind().checked, f"swift://images/{key}")
        for key in ("a/../b", "a//b", "...", "a/..b", "a/b/../..", "%2e%2e/b"):
            self.assertEqual(self.kind().checked(f"swift://images/{key}"), f"swift://images/{key}")

    def test_invalid_names(self) -> None:
        for url in ("swift://images", "swift://images/", "swift:///a.png", "swift://../a.png", "swift://./a.png"):
            self.assertRaises(SourceNotFound, self.kind().checked, url)

    def test_containers_that_are_not_allowed(self) -> None:
        kind = self.kind(allowed=("images", "both"), denied=("both",))
        self.assertEqual(kind.checked("swift://images/a"), "swift://images/a")
        for name in ("both", "other", "Images", "images%2F"):
            self.assertRaises(SourceRefused, kind.checked, f"swift://{name}/a")

    async def test_bytes_of_names(self) -> None:
        store = self.store()
        sources = await self.sources(store)
        for name, path in (
            ("a b+c.png", "a%20b%2Bc.png"),
            ("a//b/../c", "a//b/../c"),
            ("100%25.png", "100%2525.png"),
            ("ü/日本.png", "%C3%BC/%E6%97%A5%E6%9C%AC.png"),
            ("#;:@&=,~.png", "%23%3B%3A%40%26%3D%2C~.png"),
        ):
            store.put("images", name, name.encode())
            self.assertEqual(await self.fetch(sources, f"swift://images/{name}"), name.encode())
            self.assertEqual(store.requests[-1][0], f"/v1/AUTH_test/images/{path}")

    async def test_container_cannot_change_the_host(self) -> None:
        store = self.store()
        store.put("user@127.0.0.1:1?#", "a", b"odd")
        sources = await self.sources(store, query_separator="")
        self.assertEqual(await self.fetch(sources, "swift://user@127.0.0.1:1?#/a"), b"odd")


class FetchTests(SwiftCase):
    async def test_each_version_of_authentication(self) -> None:
        for version in (1, 2, 3):
            store = self.store(version)
            self.lines.clear()
            sources = await self.sources(store)
            self.assertEqual(await self.fetch(sources), b"picture")
            self.assertEqual(len(store.authentications), 1, "one token serves start and fetch")

    async def test_conditions_and_ranges(self) -> None:
        sources = await self.sources(self.store())
        image = await sources.fetch("swift://images/a.png", None, {})
        self.assertEqual(image.etag, hashlib.md5(b"picture").hexdigest())  # noqa: S324
        self.assertTrue((await sources.fetch("swift://images/a.png", None, {"if-none-match": image.etag})).not_modified)
        unchanged = await sources.fetch("swift://images/a.png", None, {"if-modified-since": image.last_modified})
        self.assertTrue(unchanged.not_modified)
        consumer = MemoryConsumer()
        await sources.stream("swift://images/a.png", {"range": "bytes=2-4"}, consumer.started)
        self.assertEqual((consumer.head and consumer.head.status, consumer.body), (206, b"ctu"))

    async def test_headers_for_the_web_do_not_go_to_the_store(self) -> None:
        store = self.store()
        sources = await self.sources(store, custom_headers={"x-secret": "1"})
        await self.fetch(sources, cookie="session", authorization="Bearer x", x_auth_token="theirs")
        headers = store.requests[-1][1]
        self.assertFalse({"x-secret", "cookie", "authorization"} & set(headers))
        self.assertEqual(headers["x-auth-token"], "token-1")

    async def test_missing_object(self) -> None:
        sources = await self.sources(self.store())
        error: Any = await self.assertFailure(sources.fetch("swift://images/b.png", None, {}), SourceMissing)
        self.assertEqual(error.logged, "the origin answered 404")

    async def test_refused_container_is_explained_to_the_operator_only(self) -> None:
        store = self.store()
        sources = await self.sources(store)
        store.statuses = [403]
        error: Any = await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), SourceNotFound)
        self.assertEqual(error.message, "the origin answered 403")
        self.assertIn("read ACL", error.cause)
        self.assertIn("transaction tx1", error.cause)
        self.assertNotIn("secret", error.cause)

    async def test_one_503_is_retried(self) -> None:
        store = self.store()
        sources = await self.sources(store, store_retries=2)
        store.statuses = [503]
        self.assertEqual(await self.fetch(sources), b"picture")
        self.assertEqual(len(store.requests), 2)

    async def test_store_that_is_down_is_a_failure(self) -> None:
        store = self.store()
        sources = await self.sources(store)
        store.close()
        await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), OriginFailed)


class TokenTests(SwiftCase):
    async def test_revoked_token_is_renewed_once_for_all_requests(self) -> None:
        store = self.store()
        sources = await self.sources(store)
        self.clock.ahead = 5
        store.forget_tokens()
        bodies = await gatherResults([Deferred.fromCoroutine(self.fetch(sources)) for _ in range(5)])
        self.assertEqual(bodies, [b"picture"] * 5)
        self.assertEqual(len(store.authentications), 2)
        self.assertLessEqual(len(store.requests), 10)

    async def test_token_that_is_refused_anew_is_not_renewed_without_end(self) -> None:
        store = self.store()
        sources = await self.sources(store)
        self.clock.ahead = 5
        store.statuses = [401] * 100
        for _ in range(5):
            error: Any = await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), OriginFailed)
            self.assertIn("refuses the token", error.cause)
        self.assertEqual(len(store.authentications), 2)

    async def test_expired_token_is_replaced_before_it_is_sent(self) -> None:
        for version in (1, 2, 3):
            store = self.store(version)
            self.lines.clear()
            self.clock.ahead = 0
            sources = await self.sources(store)
            self.clock.ahead = 3601
            self.assertEqual(await self.fetch(sources), b"picture")
            self.assertEqual([told["x-auth-token"] for _, told, _ in store.requests], ["token-2"])

    async def test_token_that_expires_soon_is_renewed_in_the_background(self) -> None:
        store = self.store()
        sources = await self.sources(store)
        self.clock.ahead = 3550
        store.hold()
        self.assertEqual(await self.fetch(sources), b"picture")
        self.assertEqual(await self.fetch(sources), b"picture")
        await until(lambda: len(store.authentications) == 2)
        store.release()
        await until(lambda: sum("authenticated at" in line for line in self.lines) == 2)
        self.assertEqual(await self.fetch(sources), b"picture")
        self.assertEqual([told["x-auth-token"] for _, told, _ in store.requests], ["token-1", "token-1", "token-2"])
        self.assertEqual(len(store.authentications), 2)

    async def test_old_token_serves_while_it_cannot_be_renewed(self) -> None:
        store = self.store()
        sources = await self.sources(store)
        self.clock.ahead = 3550
        store.auth_status = 503
        for _ in range(3):
            self.assertEqual(await self.fetch(sources), b"picture")
            await until(lambda: any("the present ones are valid still" in line for line in self.lines))
        self.assertEqual(len(store.authentications), 2, "the next attempt comes after a while")

    async def test_token_without_an_end_is_kept(self) -> None:
        store = self.store(3)
        store.lifetime = None
        sources = await self.sources(store)
        self.clock.ahead = 1e6
        self.assertEqual(await self.fetch(sources), b"picture")
        self.assertEqual(len(store.authentications), 1)

    async def test_api_key_is_tried_where_the_password_is_refused(self) -> None:
        store = self.store(2)
        store.api_key_form_only = True
        sources = await self.sources(store)
        self.assertEqual(await self.fetch(sources), b"picture")
        self.assertEqual(len(store.authentications), 2)
        self.clock.ahead = 3601
        self.assertEqual(await self.fetch(sources), b"picture")
        self.assertEqual(len(store.authentications), 3, "the form that worked comes first")


class AuthenticationFailureTests(SwiftCase):
    async def test_refused_credentials_are_explained_and_not_sent_again_at_once(self) -> None:
        for version, hint in ((1, "IMGFORGE_SWIFT_API_KEY;"), (2, "SWIFT_TENANT;"), (3, "IMGFORGE_SWIFT_DOMAIN;")):
            store = self.store(version)
            self.lines.clear()
            self.clock.ahead = 0
            sources = await self.sources(store, {"api_key": "wrong"}, store_retries=2)
            sent = len(store.authentications)
            self.assertTrue(any("refuses the credentials (401)" in line and hint in line for line in self.lines))
            await until(lambda: any("swift: cannot get credentials" in line for line in self.lines))
            error: Any = await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), OriginFailed)
            self.assertEqual(error.message, "this server cannot authenticate with the object store")
            self.assertEqual(len(store.authentications), sent)
            self.assertFalse(any("wrong" in line for line in self.lines))
            self.clock.ahead = 11
            await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), OriginFailed)
            self.assertGreater(len(store.authentications), sent)

    async def test_service_that_is_down_at_the_start_is_asked_again(self) -> None:
        store = self.store()
        store.auth_status = 503
        sources = await self.sources(store)
        error: Any = await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), OriginFailed)
        self.assertIn("answered 503", error.cause)
        store.auth_status = 0
        self.clock.ahead = 2
        self.assertEqual(await self.fetch(sources), b"picture")

    async def test_answers_without_a_token(self) -> None:
        store = self.store(3)
        store.auth_answer = b'{"token": {"catalog": []}}'
        sources = await self.sources(store)
        error: Any = await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), OriginFailed)
        self.assertIn("names no object store: check IMGFORGE_SWIFT_TENANT", error.cause)
        store.auth_answer = b" " * 2_000_000
        self.clock.ahead = 2
        error = await self.assertFailure(sources.fetch("swift://images/a.png", None, {}), OriginFailed)
        self.assertIn("more than 1048576 bytes", error.cause)

    async def test_service_that_hangs_is_a_timeout(self) -> None:
        self.clock = clock = PacedReactor()
        store = self.store()
        sources = await self.sources(store, download_timeout=4)
        clock.advance(3601)
        store.hold()
        fetches = [sources.fetch("swift://images/a.png", None, {}) for _ in range(3)]
        await until(lambda: len(store.authentications) == 2)
        clock.advance(4)
        for fetch in fetches:
            error: Any = await self.assertFailure(fetch, OriginTimeout)
            self.assertEqual(error.message, "the store's authentication service does not answer")
            self.assertIn(store.auth_url, error.cause)
        self.assertEqual(len(store.authentications), 2)
        store.release()
        clock.advance(2)
        self.assertEqual(await self.fetch(sources), b"picture")
