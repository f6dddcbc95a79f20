"""What several worker processes share: work under way."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from tests.live._pictures import encode, gradient
from tests.live._process import Origin, Twistd, wait_for


class SharingCase(SynchronousTestCase):
    """Three workers on one directory, and an origin."""

    def setUp(self) -> None:
        self.origin = Origin({f"/{name}.png": encode(gradient(40, 30), "PNG") for name in "abc"})
        self.addCleanup(self.origin.close)

    def server(self, **settings: str) -> Twistd:
        cache = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(cache.cleanup)
        settings = {"CACHE_TYPE": "hybrid", "CACHE_DISK_PATH": cache.name, "PROCESSES": "3"} | settings
        made = Twistd(settings | {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "ALLOW_UNSIGNED": "true"})
        self.addCleanup(made.clean)
        made.start()
        wait_for(lambda: len(made.children()) == 3, "three workers")
        return made

    def path(self, name: str, options: str = "w:20", extension: str = "png") -> str:
        return f"/unsafe/{options}/plain/{self.origin.url(f'/{name}.png')}@{extension}"


class SingleFlightTests(SharingCase):
    def test_many_equal_cold_requests_make_one_fetch_and_one_image(self) -> None:
        server = self.server()
        self.origin.delay = 0.5
        with ThreadPoolExecutor(100) as pool:
            replies = list(pool.map(lambda _: server.get(self.path("a")), range(200)))
        self.assertEqual({reply.status for reply in replies}, {200})
        self.assertEqual(len({reply.body for reply in replies}), 1)
        self.assertEqual(len(self.origin.requests), 1)
        self.assertEqual(server.metric('processed_images_total{format="png"}'), 1)

    def test_a_failure_is_shared_by_those_who_wait_and_not_kept(self) -> None:
        server = self.server()
        self.origin.delay = 0.5
        with ThreadPoolExecutor(100) as pool:
            replies = list(pool.map(lambda _: server.get(self.path("none")), range(60)))
        self.assertEqual({(reply.status, reply.body) for reply in replies}, {(404, b"the origin answered 404\n")})
        first = len(self.origin.requests)
        self.assertLess(first, 6)
        server.get(self.path("none"))
        self.assertEqual(len(self.origin.requests), first + 1)
