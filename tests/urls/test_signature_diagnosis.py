"""Each usual mistake of a signing program is named, alone and with others; other mistakes are not guessed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import SignedUrl, signature_mistakes, signing_pair

PAIRS = ((bytes(range(32)), bytes(range(100, 132))), (b"\xaa" * 32, b"\xbb" * 32))
KEY, SALT = PAIRS[0]
PATH = "/rs:fit:300:200/plain/http://origin.example/a%20b.jpg@webp"
SIZE = 32


def _urlsafe(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _standard(digest: bytes) -> str:
    return base64.b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class Program:
    """A signing program: each field is a step that may be wrong."""

    key: bytes = KEY
    salt: bytes = SALT
    signed: Callable[[str], str] = lambda path: path
    message: Callable[[bytes, bytes], bytes] = lambda salt, path: salt + path
    encode: Callable[[bytes], str] = _urlsafe

    def url(self, path: str = PATH, before: str = "", behind: str = "") -> str:
        """Its URL for *path*, with *before* in front of the signature and *behind* at the end."""
        digest = hmac.new(self.key, self.message(self.salt, self.signed(path).encode()), hashlib.sha256).digest()
        return f"{before}/{self.encode(digest)}{path}{behind}"


HOST = "http://127.0.0.1:3000"
# By words of the line that names the mistake: the program with it, and the texts around its URL.
MISTAKES: dict[str, tuple[Program, str, str]] = {
    "key and the salt were used as hexadecimal text": (
        Program(key=KEY.hex().encode(), salt=SALT.hex().encode()),
        "",
        "",
    ),
    "key was used as hexadecimal text": (Program(key=KEY.hex().upper().encode()), "", ""),
    "salt was used as hexadecimal text": (Program(salt=SALT.hex().encode()), "", ""),
    "salt was left out": (Program(message=lambda _, path: path), "", ""),
    "swapped": (Program(key=SALT, salt=KEY), "", ""),
    "salt was put after the path": (Program(message=lambda salt, path: path + salt), "", ""),
    "of one pair was used with the salt of another": (Program(salt=PAIRS[1][1]), "", ""),
    "without its leading slash": (Program(signed=lambda path: path[1:]), "", ""),
    "whole URL was signed": (Program(signed=lambda path: HOST + path), HOST, ""),
    "query was signed": (Program(signed=lambda path: f"{path}?v=2"), HOST, "?v=2"),
    "prefix was signed": (Program(signed=lambda path: f"/images{path}"), "/images", ""),
    "/info was signed": (Program(signed=lambda path: f"/info{path}"), "/info", ""),
    "with a slash at its end": (Program(signed=lambda path: f"{path}/"), "", ""),
    "percent-encoded (once more) after": (Program(signed=lambda path: path.replace("%20", " ")), "", ""),
    "decoded on its way": (Program(signed=lambda path: path.replace("%", "%25")), "", ""),
    "is padded": (Program(encode=lambda digest: _urlsafe(digest) + "="), "", ""),
    "in standard base64": (Program(encode=_standard), "", ""),
    "is in hexadecimal": (Program(encode=bytes.hex), "", ""),
    "digest's hexadecimal text": (Program(encode=lambda digest: _urlsafe(digest.hex().encode())), "", ""),
    "truncated to 16 bytes": (Program(encode=lambda digest: _urlsafe(digest[:16])), "", ""),
    "truncated after it was encoded": (Program(encode=lambda digest: _urlsafe(digest)[:21]), "", ""),
    "is percent-encoded: it must be sent": (
        Program(encode=lambda digest: _urlsafe(digest).replace("A", "%41")),
        "",
        "",
    ),
}


class MistakeTests(SynchronousTestCase):
    def found(self, url: str, size: int = SIZE) -> tuple[str, ...]:
        return signature_mistakes(SignedUrl.parse(url, "/images"), PAIRS, size)

    def test_each_mistake_is_named_alone(self) -> None:
        for word, (program, before, behind) in MISTAKES.items():
            # Numbers in the path, until the encodings of the digest differ.
            for number in range(40):
                url = program.url(f"/w:{number + 1}{PATH}", before, behind)
                found = self.found(url)
                if found:
                    break
            self.assertEqual(len(found), 1, (word, found, url))
            self.assertIn(word, found[0])

    def test_a_slash_at_the_end_that_was_not_signed(self) -> None:
        (line,) = self.found(Program(signed=lambda path: path.rstrip("/")).url("/w:1/plain/http://x/a/"))
        self.assertIn("without the slash at its end", line)

    def test_a_signature_of_another_size_is_reported(self) -> None:
        for made, expected in ((32, 8), (16, 8), (4, 8), (8, 32)):
            url = Program(encode=lambda digest, made=made: _urlsafe(digest[:made])).url()  # type: ignore[misc]
            (line,) = self.found(url, expected)
            self.assertIn(f"expects {expected} bytes", line)

    def test_two_mistakes_are_both_named(self) -> None:
        program = Program(message=lambda _, path: path, signed=lambda path: path[1:], encode=bytes.hex)
        words = ("salt was left out", "without its leading slash", "in hexadecimal")
        for word, line in itertools.zip_longest(words, self.found(program.url())):
            self.assertIn(word, line)

    def test_slashes_of_standard_base64_are_recognised(self) -> None:
        for number in range(2000):
            url = Program(encode=_standard).url(f"/w:{number}{PATH}")
            if url.index("/w:") > 44 and url[1 : url.index("/w:")].count("/") > 1:
                break
        (line,) = self.found(url)
        self.assertIn("in standard base64", line)

    def test_a_missing_signature_is_reported(self) -> None:
        for url, word in (
            (PATH, "begins with an option"),
            ("/plain/http://x/a.jpg", "begins with the source"),
            (f"/unsafe{PATH}", "is not signed"),
        ):
            self.assertIn(word, self.found(url)[0])

    @given(st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=40))
    def test_with_another_key_nothing_is_reported(self, key: bytes, salt: bytes) -> None:
        self.assertEqual(self.found(Program(key=b"other" + key, salt=b"other" + salt).url()), ())

    def test_reports_reveal_neither_keys_nor_valid_signatures(self) -> None:
        right = Program().url()[1:].partition("/")[0]
        for program, before, behind in MISTAKES.values():
            said = " ".join(self.found(program.url(PATH, before, behind)))
            for secret in (right, right[:8], *(part.hex() for pair in PAIRS for part in pair)):
                self.assertNotIn(secret, said)

    def test_the_signing_pair_is_found(self) -> None:
        for number, (key, salt) in enumerate(PAIRS, 1):
            url = SignedUrl.parse(Program(key, salt).url())
            self.assertEqual(signing_pair(url, PAIRS, SIZE), number)
        self.assertEqual(signing_pair(SignedUrl.parse(Program(b"other").url()), PAIRS, SIZE), 0)


class PartsTests(SynchronousTestCase):
    def test_whole_urls_and_targets_have_the_same_parts(self) -> None:
        for before in ("", "http://127.0.0.1:3000", "https://[::1]:443", "HTTPS://cdn.example"):
            url = SignedUrl.parse(f"{before}/images/info/sig/w:1/plain/http://x/a%20b?q=1", "/images/")
            self.assertEqual((url.origin, url.prefix, url.endpoint), (before, "/images", "/info"))
            self.assertEqual((url.signature, url.path, url.query), ("sig", "/w:1/plain/http://x/a%20b", "q=1"))
            self.assertEqual(url.target, "/images/info/sig/w:1/plain/http://x/a%20b?q=1")

    def test_fragments_are_dropped(self) -> None:
        self.assertEqual(SignedUrl.parse("http://h/sig/plain/http://x/a#top").target, "/sig/plain/http://x/a")

    def test_a_path_without_its_slash_is_completed(self) -> None:
        self.assertEqual(SignedUrl.parse("sig/plain/http://x/a").target, "/sig/plain/http://x/a")
