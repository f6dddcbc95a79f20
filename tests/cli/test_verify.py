"""`imgforge verify`: good signatures, wrong ones, and the mistake that is named."""

from __future__ import annotations

import hashlib
import hmac

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}


class VerifyCommandTests(SynchronousTestCase):
    def test_verify_accepts_the_signatures_of_sign_and_rejects_changed_ones(self) -> None:
        for arguments in (
            ("/w:3/plain/http://x/a.jpg",),
            ("--source", "http://x/ü@.jpg", "--options", "w:3", "-F", "webp"),
        ):
            signed = imgforge("sign", *arguments, **KEYS).stdout.strip()
            self.assertEqual(imgforge("verify", signed, **KEYS).returncode, 0)
            self.assertEqual(imgforge("verify", signed + "x", **KEYS).returncode, 1)

    def test_verify_obeys_the_path_prefix_and_the_arguments_separator(self) -> None:
        rules = {"IMGFORGE_ARGUMENTS_SEPARATOR": "_", "IMGFORGE_PATH_PREFIX": "/images"}
        signed = imgforge("sign", "/w_3/plain/http://x/a.jpg", **KEYS, **rules).stdout.strip()
        self.assertEqual(imgforge("verify", "/images" + signed, **KEYS, **rules).returncode, 0)
        self.assertEqual(imgforge("verify", signed, **KEYS).returncode, 1)

    def test_verify_accepts_full_urls_with_prefix_query_and_fragment_and_info_urls(self) -> None:
        rules = {"IMGFORGE_PATH_PREFIX": "/images"}
        signed = imgforge("sign", "/w:3/plain/http://x/a.jpg", **KEYS).stdout.strip()
        for url in (
            f"http://127.0.0.1:3000{signed}",
            f"https://cdn.example/images{signed}?v=2",
            f"http://h{signed}#top",
        ):
            result = imgforge("verify", url, **KEYS, **rules)
            self.assertEqual((result.returncode, result.stdout), (0, "the signature is good\n"), result.stderr)
        info = imgforge("sign", "/palette:8/plain/http://x/a.jpg", **KEYS).stdout.strip()
        self.assertEqual(imgforge("verify", f"http://h/info{info}", **KEYS).returncode, 0)

    def test_verify_names_the_mistake_without_revealing_keys_or_signatures(self) -> None:
        digest = hmac.new(KEYS["IMGFORGE_KEY"].encode(), b"/w:3/plain/http://x/a.jpg", hashlib.sha256).hexdigest()
        result = imgforge("verify", f"http://h/{digest}/w:3/plain/http://x/a.jpg", **KEYS)
        self.assertEqual(result.returncode, 1)
        for mistake in ("key was used as hexadecimal text", "salt was left out", "in hexadecimal"):
            self.assertIn(mistake, result.stderr)
        for secret in ("aaaa", "bbbb", imgforge("sign", "/w:3/plain/http://x/a.jpg", **KEYS).stdout[1:40]):
            self.assertNotIn(secret, result.stdout + result.stderr)
        other = imgforge("verify", "/AQIDBAUGBwgJCgsM/w:3/plain/http://x/a.jpg", **KEYS)
        self.assertEqual((other.returncode, "none of the usual mistakes" in other.stderr), (1, True))

    def test_verify_reports_an_invalid_path_under_a_good_signature(self) -> None:
        signed = imgforge("sign", "/wdth:3/plain/http://x/a.jpg", **KEYS).stdout.strip()
        result = imgforge("verify", signed, **KEYS)
        self.assertEqual((result.returncode, "the signature is good, but" in result.stderr), (1, True))

    def test_verify_names_the_key_pair_that_signed(self) -> None:
        two_pairs = {name: f"{value},{'cc' * 32}" for name, value in KEYS.items()}
        second_pair = dict.fromkeys(KEYS, "cc" * 32)
        signed = imgforge("sign", "/plain/http://x/a.jpg", **second_pair).stdout.strip()
        self.assertIn("key 2 of 2", imgforge("verify", signed, **two_pairs).stdout)

    def test_verify_without_keys_fails(self) -> None:
        self.assertEqual(imgforge("verify", "/unsafe/plain/http://x/a.jpg").returncode, 1)
