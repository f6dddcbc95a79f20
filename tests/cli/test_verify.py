"""`imgforge verify`: good signatures, wrong ones, and the mistake that is named."""

from __future__ import annotations

import hashlib
import hmac

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}


class VerifyCommandTests(SynchronousTestCase):
    def test_what_sign_signs_verify_finds_good(self) -> None:
        for arguments in (
            ("/w:3/plain/http://x/a.jpg",),
            ("--source", "http://x/ü@.jpg", "--options", "w:3", "-F", "webp"),
        ):
            signed = imgforge("sign", *arguments, **KEYS).stdout.strip()
            self.assertEqual(imgforge("verify", signed, **KEYS).returncode, 0)
            self.assertEqual(imgforge("verify", signed + "x", **KEYS).returncode, 1)

    def test_verify_reads_paths_as_the_server_would(self) -> None:
        rules = {"IMGFORGE_ARGUMENTS_SEPARATOR": "_", "IMGFORGE_PATH_PREFIX": "/images"}
        signed = imgforge("sign", "/w_3/plain/http://x/a.jpg", **KEYS, **rules).stdout.strip()
        self.assertEqual(imgforge("verify", "/images" + signed, **KEYS, **rules).returncode, 0)
        self.assertEqual(imgforge("verify", signed, **KEYS).returncode, 1)

    def test_verify_takes_whole_urls_with_a_prefix_and_a_query_and_those_of_info(self) -> None:
        rules = {"IMGFORGE_PATH_PREFIX": "/images"}
        signed = imgforge("sign", "/w:3/plain/http://x/a.jpg", **KEYS).stdout.strip()
        for url in (
            f"http://127.0.0.1:3000{signed}",
            f"https://cdn.example/images{signed}?v=2",
            f"http://h{signed}#top",
        ):
            result = imgforge("verify", url, **KEYS, **rules)
            self.assertEqual((result.returncode, result.stdout), (0, "the signature is good\n"), result.stderr)
        about = imgforge("sign", "/palette:8/plain/http://x/a.jpg", **KEYS).stdout.strip()
        self.assertEqual(imgforge("verify", f"http://h/info{about}", **KEYS).returncode, 0)

    def test_verify_names_the_mistake_and_no_key(self) -> None:
        digest = hmac.new(KEYS["IMGFORGE_KEY"].encode(), b"/w:3/plain/http://x/a.jpg", hashlib.sha256).hexdigest()
        result = imgforge("verify", f"http://h/{digest}/w:3/plain/http://x/a.jpg", **KEYS)
        self.assertEqual(result.returncode, 1)
        for said in ("key was used as hexadecimal text", "salt was left out", "in hexadecimal"):
            self.assertIn(said, result.stderr)
        for secret in ("aaaa", "bbbb", imgforge("sign", "/w:3/plain/http://x/a.jpg", **KEYS).stdout[1:40]):
            self.assertNotIn(secret, result.stdout + result.stderr)
        other = imgforge("verify", "/AQIDBAUGBwgJCgsM/w:3/plain/http://x/a.jpg", **KEYS)
        self.assertEqual((other.returncode, "none of the usual mistakes" in other.stderr), (1, True))

    def test_verify_tells_a_good_signature_from_a_good_path(self) -> None:
        signed = imgforge("sign", "/wdth:3/plain/http://x/a.jpg", **KEYS).stdout.strip()
        result = imgforge("verify", signed, **KEYS)
        self.assertEqual((result.returncode, "the signature is good, but" in result.stderr), (1, True))

    def test_verify_says_which_of_several_keys_signed(self) -> None:
        both = {name: f"{value},{'cc' * 32}" for name, value in KEYS.items()}
        second = dict.fromkeys(KEYS, "cc" * 32)
        signed = imgforge("sign", "/plain/http://x/a.jpg", **second).stdout.strip()
        self.assertIn("key 2 of 2", imgforge("verify", signed, **both).stdout)

    def test_nothing_is_good_without_keys(self) -> None:
        self.assertEqual(imgforge("verify", "/unsafe/plain/http://x/a.jpg").returncode, 1)
