"""Shared Key signatures: the strings to sign that Microsoft's documentation prints, and what HMAC makes of one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.stores.azure_signature import shared_key_authorization, string_to_sign

# "Authorize with Shared Key", section "Constructing the signature string": Get Container Metadata and Put Blob.
CONTAINER_METADATA = (
    "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
    "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
)
PUT_BLOB = (
    "PUT\n\n\n11\n\ntext/plain; charset=UTF-8\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\n"
    "x-ms-date:Sun, 25 Sep 2011 14:36:41 GMT\nx-ms-meta-m1:v1\nx-ms-meta-m2:v2\nx-ms-version:2009-09-19\n"
    "/myaccount/mycontainer/hello.txt"
)


class SharedKeyTests(SynchronousTestCase):
    def test_the_documented_strings_to_sign(self) -> None:
        headers = {"x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT"}
        query = {"timeout": "20", "restype": "container", "comp": "metadata"}
        self.assertEqual(string_to_sign("myaccount", "/mycontainer", query, headers), CONTAINER_METADATA)
        headers = {
            "x-ms-date": "Sun, 25 Sep 2011 14:36:41 GMT", "x-ms-version": "2009-09-19",
            "content-type": "text/plain; charset=UTF-8", "content-length": "11", "x-ms-meta-m2": "v2",
            "x-ms-meta-m1": "v1", "x-ms-blob-type": "BlockBlob", "host": "x",
        }  # fmt: skip
        self.assertEqual(string_to_sign("myaccount", "/mycontainer/hello.txt", {}, headers, "PUT"), PUT_BLOB)

    def test_conditions_and_ranges_have_their_lines(self) -> None:
        date = "Wed, 21 Oct 2015 07:28:00 GMT"
        headers = {"if-none-match": '"1"', "if-modified-since": date, "range": "bytes=0-1"}
        lines = string_to_sign("a", "/a/c/b%2Fc%20%C3%A9", {"versionid": "2020-01-01T00:00:00Z"}, headers).split("\n")
        self.assertEqual(lines[:7], ["GET", *[""] * 6])
        self.assertEqual(lines[7:12], [date, "", '"1"', "", "bytes=0-1"])
        self.assertEqual(lines[12:], ["/a/a/c/b%2Fc%20%C3%A9", "versionid:2020-01-01T00:00:00Z"])

    def test_the_signature_is_the_base64_of_hmac_sha256(self) -> None:
        # Worked out with `openssl dgst -sha256 -mac HMAC -binary | base64` over CONTAINER_METADATA.
        headers = {"x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT"}
        query = {"timeout": "20", "restype": "container", "comp": "metadata"}
        value = shared_key_authorization("myaccount", b"secret", "/mycontainer", query, headers)
        self.assertEqual(value, "SharedKey myaccount:u782AEZSCdPgGXSvCImAdStQSg/O3eLX2iiw+7vs9ws=")
