"""Signatures of requests to S3, against AWS' published examples and botocore."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from unittest.mock import patch

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.stores.s3_signature import (
    Credentials,
    Scope,
    authorization,
    escaped_key,
    escaped_query,
    payload_of,
    scope_of,
    signed_headers,
)

EMPTY = sha256(b"").hexdigest()
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
# Of the S3 documentation, "Examples: Signature Calculations": request, headers, hash of the body, signature.
S3_EXAMPLES: tuple[tuple[str, dict[str, str], str, str], ...] = (
    (
        "GET /test.txt",
        {"range": "bytes=0-9"},
        EMPTY,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    ("GET /?lifecycle=", {}, EMPTY, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("GET /?max-keys=2&prefix=J", {}, EMPTY, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    (
        "PUT /test%24file.text",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
)
# Of aws4_testsuite, those that no normalisation of the path touches: name, request, headers, signature.
SUITE: tuple[tuple[str, str, dict[str, str], str], ...] = (
    ("get-vanilla", "GET /", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    (
        "get-unreserved",
        "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        {},
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    ("get-utf8", f"GET {escaped_key('/ሴ')}", {}, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    (
        "get-vanilla-empty-query-key",
        f"GET /?{escaped_query([('Param1', 'value1')])}",
        {},
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    (
        "get-vanilla-query-order-key-case",
        f"GET /?{escaped_query([('Param2', 'value2'), ('Param1', 'value1')])}",
        {},
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-vanilla-utf8-query",
        f"GET /?{escaped_query([('ሴ', 'bar')])}",
        {},
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    (
        "get-header-key-duplicate",
        "GET /",
        {"my-header1": "value2,value2,value1"},
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "get-header-value-trim",
        "GET /",
        {"my-header1": " value1", "my-header2": ' "a   b   c"'},
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
)
# Keys whose bytes many a client changes on the way.
ODD_KEYS = ("a//b", "a/../b", "./a", "a+b", "a%2Fb", "a b", "ä/日本.jpg", "a?b#c", "a&b=c;d", "100%", "*'()!~", "\x7f")

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


class VectorTests(SynchronousTestCase):
    def test_examples_of_the_documentation(self) -> None:
        credentials = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET.replace("+", "/"))
        for request, headers, payload, signature in S3_EXAMPLES:
            signed = {
                "host": "examplebucket.s3.amazonaws.com",
                "x-amz-content-sha256": payload,
                "x-amz-date": "20130524T000000Z",
            } | headers
            header = authorization(request, signed, payload, credentials, Scope("us-east-1"))
            names = ";".join(sorted(signed))
            self.assertEqual(
                header,
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                f"SignedHeaders={names},Signature={signature}",
            )

    def test_aws4_testsuite(self) -> None:
        for name, request, headers, signature in SUITE:
            signed = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"} | headers
            header = authorization(
                request, signed, EMPTY, Credentials("AKIDEXAMPLE", SECRET), Scope("us-east-1", "service")
            )
            self.assertEqual(header.rpartition("=")[2], signature, name)


class BotocoreTests(SynchronousTestCase):
    """The vendor's own signer signs the same."""

    def check(self, key: str, version: str, token: str) -> None:
        query = f"?{escaped_query([('versionId', version)])}" if version else ""
        self.check_request("GET", f"/photos/{escaped_key(key)}{query}", token)

    def check_request(
        self, method: str, target: str, token: str = "", body: bytes = b"", content_type: str = ""
    ) -> None:
        moment = datetime(2026, 11, 28, 7, 8, 9, tzinfo=UTC)
        credentials = Credentials("AKIDEXAMPLE", SECRET, token)
        headers = {"content-type": content_type} if content_type else {}
        ours = headers | signed_headers(
            "store.example:9000", target, credentials, Scope("eu-west-3"), moment,
            method=method, payload=payload_of(body), headers=headers,
        )  # fmt: skip
        request: Any = AWSRequest(method, f"http://store.example:9000{target}", headers, body)
        request.context["payload_signing_enabled"] = True
        signer = S3SigV4Auth(BotocoreCredentials("AKIDEXAMPLE", SECRET, token or None), "s3", "eu-west-3")
        with patch("botocore.auth.get_current_datetime", lambda **_: moment.replace(tzinfo=None)):
            signer.add_auth(request)
        theirs = {name.lower(): value for name, value in request.headers.items()}
        self.assertEqual(ours | {"authorization": ours["authorization"].replace(",", ", ")}, theirs)

    def test_odd_keys(self) -> None:
        for key in ODD_KEYS:
            self.check(key, "", "")

    @given(keys, st.text("aZ09._-/+= ä"), st.sampled_from(["", "FwoGZXIvYXdzE//+token="]))
    def test_any_key_version_and_token(self, key: str, version: str, token: str) -> None:
        self.check(key, version, token)

    def test_writes_listings_and_deletes(self) -> None:
        for method in ("HEAD", "DELETE"):
            self.check_request(method, f"/cache/{escaped_key('a b/ä')}", "token")
        for body in (b"", b"x", bytes(range(256)) * 1000):
            self.check_request("PUT", "/cache/ab12", "", body, "application/octet-stream")
        query = {"list-type": "2", "max-keys": "1000", "prefix": "a b/é+", "start-after": "a b/é+/0~*'"}
        self.check_request("GET", f"/cache?{escaped_query(query.items())}")

    @given(keys, st.binary(max_size=100), st.sampled_from(["PUT", "DELETE", "HEAD"]))
    def test_any_body_and_method(self, key: str, body: bytes, method: str) -> None:
        self.check_request(method, f"/cache/{escaped_key(key)}", "", body if method == "PUT" else b"")


class EscapingTests(SynchronousTestCase):
    def test_a_key_is_escaped_once_and_not_normalised(self) -> None:
        self.assertEqual(escaped_key("a//b/../c+d%2Fe f~é?#"), "a//b/../c%2Bd%252Fe%20f~%C3%A9%3F%23")

    def test_the_scope_can_be_read_back(self) -> None:
        headers = signed_headers("h", "/", Credentials("a", "b"), Scope("cn-north-1"), datetime(2026, 1, 1, tzinfo=UTC))
        self.assertEqual(scope_of(headers), Scope("cn-north-1"))
        self.assertIsNone(scope_of({}))

    def test_no_secret_is_shown(self) -> None:
        self.assertNotIn("hidden", repr(Credentials("key", "hidden", "hidden too")))
