"""URLs of Redis: what they may name, and that nothing of a password is told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import RedisAddress, parse_redis_url


class RedisAddressTests(SynchronousTestCase):
    def test_urls_name_servers(self) -> None:
        tls = RedisAddress("r", tls=True, ca_file="/a b", certificate_file="/c", key_file="/k")
        for url, address in (
            ("redis://r", RedisAddress("r")),
            ("redis://r/", RedisAddress("r")),
            ("redis://10.0.0.1:6380/3", RedisAddress("10.0.0.1", 6380, database=3)),
            ("redis://[::1]:6380/3", RedisAddress("::1", 6380, database=3)),
            ("redis://r?db=3", RedisAddress("r", database=3)),
            ("redis://:p%40%2Fw@r", RedisAddress("r", password="p@/w")),
            ("redis://u%3A:p@r", RedisAddress("r", username="u:", password="p")),
            ("rediss://r?ssl_ca_certs=/a%20b&ssl_certfile=/c&ssl_keyfile=/k", tls),
            ("unix:///run/redis.sock", RedisAddress(path="/run/redis.sock")),
            (
                "unix://u:p@/run/r%20.sock?db=2",
                RedisAddress(path="/run/r .sock", database=2, username="u", password="p"),
            ),
        ):
            self.assertEqual(parse_redis_url(url), address, url)

    def test_an_address_is_shown_as_a_url_without_secrets(self) -> None:
        for url, shown in (
            ("redis://u:hush@r:7/3", "redis://r:7/3"),
            ("rediss://:hush@[::1]", "rediss://[::1]:6379/0"),
            ("unix://u:hush@/s?db=2", "unix:///s?db=2"),
        ):
            self.assertEqual(str(parse_redis_url(url)), shown)
            self.assertNotIn("hush", repr(parse_redis_url(url)))

    def test_other_urls_are_mistakes_that_quote_nothing(self) -> None:
        for url in (
            "hush", "hush:6379", "http://hush", "redis://", "redis:///1", "redis://:hush@", "redis:hush", "redis://h:0",
            "redis://hush:65536", "redis://:hu/sh@r", "redis://:p@r#hush", "redis://hush@r", "redis://r/hush",
            "redis://r/1/2", "redis://r/-1", "redis://r/99999", "redis://r/1?db=1", "redis://r?hush=1", "redis://r?hush",
            "redis://r?db=", "redis://r?ssl_ca_certs=/hush", "rediss://r?ssl_cert_reqs=none", "unix://hush", "unix://",
            "unix://hush/s", "redis://hu sh", "redis://r/1\n", "redis://[hush",
        ):  # fmt: skip
            with self.assertRaises(ValueError) as caught:
                parse_redis_url(url)
            self.assertTrue(str(caught.exception).startswith("must "), url)
            self.assertNotIn("hu", str(caught.exception))
