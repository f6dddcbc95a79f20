"""What is asked of the authentication of Swift, and what is read of its answers."""

from __future__ import annotations

import json
import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import SwiftSettings
from imgforge.sources.http import ServiceResponse
from imgforge.sources.stores.credentials_keeper import CredentialsError
from imgforge.sources.stores.swift_auth import SwiftToken, auth_version, read_token, token_requests

_NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def settings(url: str = "http://keystone:5000/v3", **chosen: Any) -> SwiftSettings:
    return SwiftSettings(username="user", api_key="secret", auth_url=url, **chosen)


class UnreadableTests(SynchronousTestCase):
    def test_an_answer_that_is_no_text_is_a_failure_of_the_service(self) -> None:
        for version in (2, 3):
            for body in (
                b'{"access": {"token": {"id": "\xff"}}, "token": {"expires_at": "\xff"}}',
                b'{"token":' * 30_000,
            ):
                response = ServiceResponse(200, {"x-subject-token": "token"}, body)
                with self.assertRaises(CredentialsError):
                    read_token(version, response, _NOW)

    def test_a_token_is_not_shown(self) -> None:
        self.assertNotIn("hunter2", repr(SwiftToken("hunter2", "http://store")))


class VersionTests(SynchronousTestCase):
    def test_the_url_names_the_version_where_the_operator_does_not(self) -> None:
        for url, version in (
            ("http://proxy:8080/auth/v1.0", 1),
            ("http://keystone:5000/v2.0/", 2),
            ("http://keystone:5000/v3", 3),
            ("http://v2.example/v3", 3),
        ):
            self.assertEqual(auth_version(settings(url)), version, url)

    def test_the_operators_version_is_taken(self) -> None:
        self.assertEqual(auth_version(settings("http://keystone/v2.0", auth_version=3)), 3)

    def test_url_without_a_version_is_a_mistake(self) -> None:
        self.assertRaises(ValueError, auth_version, settings("http://keystone:5000/"))


class RequestTests(SynchronousTestCase):
    def test_version_1_has_two_headers(self) -> None:
        (request,) = token_requests(settings("http://proxy/auth/v1.0"))
        self.assertEqual((request.body, request.url), (None, "http://proxy/auth/v1.0"))
        self.assertEqual(request.headers, {"x-auth-user": "user", "x-auth-key": "secret"})

    def test_headers_of_version_1_have_no_line_breaks(self) -> None:
        (request,) = token_requests(SwiftSettings("a\r\nX-Evil: 1", "b\0", "http://proxy/v1"))
        self.assertEqual(request.headers, {"x-auth-user": "a  X-Evil: 1", "x-auth-key": "b "})

    def test_version_2_sends_a_password_and_falls_back_to_an_api_key(self) -> None:
        first, second = token_requests(settings("http://keystone/v2.0", tenant="images"))
        self.assertEqual(first.url, "http://keystone/v2.0/tokens")
        self.assertEqual(
            json.loads(first.body or b""),
            {"auth": {"passwordCredentials": {"username": "user", "password": "secret"}, "tenantName": "images"}},
        )
        self.assertEqual(
            json.loads(second.body or b""),
            {"auth": {"RAX-KSKEY:apiKeyCredentials": {"username": "user", "apiKey": "secret"}, "tenantName": "images"}},
        )

    def test_long_secret_of_version_2_is_taken_for_an_api_key_first(self) -> None:
        first, _ = token_requests(SwiftSettings("user", "0123456789abcdef" * 2, "http://keystone/v2.0/"))
        self.assertIn(b"RAX-KSKEY", first.body or b"")

    def test_version_3_is_scoped_to_the_project_in_its_domain(self) -> None:
        (request,) = token_requests(settings("http://keystone:5000/v3/", tenant="images", domain="Corp"))
        self.assertEqual(request.url, "http://keystone:5000/v3/auth/tokens")
        domain = {"name": "Corp"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": "user", "domain": domain, "password": "secret"}},
        }
        scope = {"project": {"name": "images", "domain": domain}}
        self.assertEqual(json.loads(request.body or b""), {"auth": {"identity": identity, "scope": scope}})

    def test_version_3_without_domain_and_project(self) -> None:
        (request,) = token_requests(settings())
        auth = json.loads(request.body or b"")["auth"]
        self.assertEqual(auth["identity"]["password"]["user"]["domain"], {"name": "Default"})
        self.assertNotIn("scope", auth)


class AnswerTests(SynchronousTestCase):
    def read(self, version: int, message: Any = None, **headers: str) -> tuple[str, str, float]:
        """Value, URL of the store and lifetime."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        loaded = read_token(version, ServiceResponse(200, names, body), _NOW)
        return loaded.credentials.value, loaded.credentials.storage_url, loaded.seconds

    def cause(self, version: int, message: Any = None, **headers: str) -> str:
        return str(self.assertRaises(CredentialsError, self.read, version, message, **headers))

    def test_version_1(self) -> None:
        token = self.read(1, x_auth_token="AUTH_tk1", x_storage_url="http://s/v1/AUTH_a/", x_auth_token_expires="90")
        self.assertEqual(token, ("AUTH_tk1", "http://s/v1/AUTH_a", 90))

    def test_version_1_by_its_older_name_and_without_an_end(self) -> None:
        token = self.read(1, x_storage_token="AUTH_tk1", x_storage_url="http://s/v1/AUTH_a")
        self.assertEqual(token, ("AUTH_tk1", "http://s/v1/AUTH_a", math.inf))

    def v2(self, expires: str = "2027-01-15T09:00:00Z", **token: str) -> Any:
        services = [
            {"type": "compute", "endpoints": [{"publicURL": "http://compute"}]},
            {
                "type": "object-store",
                "name": "swift",
                "endpoints": [{"region": "r", "publicURL": "http://s/v1/AUTH_a"}],
            },
        ]
        return {"access": {"token": {"id": "abc", "expires": expires, **token}, "serviceCatalog": services, "user": {}}}

    def test_version_2(self) -> None:
        self.assertEqual(self.read(2, self.v2()), ("abc", "http://s/v1/AUTH_a", 3600))

    def test_lifetime_is_by_the_clock_of_the_service(self) -> None:
        token = self.read(2, self.v2(issued_at="2027-01-15T08:30:00.000000"))
        self.assertEqual(token[2], 1800)

    def test_version_2_without_a_tenant_has_no_services(self) -> None:
        cause = self.cause(2, {"access": {"token": {"id": "abc"}, "serviceCatalog": {}}})
        self.assertEqual(cause, "its answer names no object store: check IMGFORGE_SWIFT_TENANT")

    def v3(self, **endpoint: str) -> Any:
        endpoints = [
            {"interface": "internal", "url": "http://internal/v1"},
            {"interface": "public", "region": "r", "url": "http://s/v1/AUTH_a", **endpoint},
        ]
        catalog = [{"type": "identity", "endpoints": []}, {"type": "object-store", "endpoints": endpoints}]
        return {"token": {"expires_at": "2027-01-15T09:00:00.000000Z", "catalog": catalog, "user": {"id": "1"}}}

    def test_version_3(self) -> None:
        token = self.read(3, self.v3(), x_subject_token="gAAA")
        self.assertEqual(token, ("gAAA", "http://s/v1/AUTH_a", 3600))

    def test_time_that_is_none_is_no_end(self) -> None:
        message = self.v3()
        message["token"]["expires_at"] = "soon"
        self.assertEqual(self.read(3, message, x_subject_token="gAAA")[2], math.inf)

    def test_answers_that_are_not_what_a_version_says(self) -> None:
        for version in (2, 3):
            for body in (b"", b"<html>", b"[]", b"{}", b'{"token": 1}', b'{"access": []}', b"\xff", b"[" * 100_000):
                self.assertIn(f"not what version {version} says", self.cause(version, body, x_subject_token="a"))

    def test_tokens_that_are_no_header(self) -> None:
        for value in ("", "a b", "a\r\nX: y", "a" * 9000, "ü"):
            self.assertEqual(self.cause(1, x_auth_token=value, x_storage_url="http://s"), "its answer has no token")

    def test_urls_that_are_no_store(self) -> None:
        for url in ("ftp://s/v1", "/v1/AUTH_a", "http://user@s/", "http://s/v1?x=", "http://s:99999999/", "http:///v1"):
            cause = self.cause(3, self.v3(url=url), x_subject_token="a")
            self.assertEqual(cause, "its answer names an object store whose URL is invalid", url)
