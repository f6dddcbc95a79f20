"""A started server and an origin, shared by the tests of a class."""

from __future__ import annotations

from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Reply, Twistd

__all__ = ["KEY", "SALT", "LiveServer"]


KEY, SALT = bytes(range(32)), bytes(range(32, 64))


class LiveServer(SynchronousTestCase):
    """One server for the tests of a class, which are its clients."""

    settings: dict[str, str] = {}
    server: Twistd
    origin: Origin

    @classmethod
    def setUpClass(cls) -> None:
        cls.origin = Origin(
            {"/photo.jpg": encode(gradient(640, 400), "JPEG", quality=95), "/not-an-image": b"just words"},
            {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
        )
        cls.server = Twistd({"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1"} | cls.settings).start()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()
        cls.server.clean()
        cls.origin.close()

    def image(self, options: str, source: str = "/photo.jpg", extension: str = "", **headers: str) -> Reply:
        url = quote(self.origin.url(source), safe="")
        path = "/".join(part for part in ("/unsafe", options, "plain", url) if part)
        return self.server.get(path + extension, {name.replace("_", "-"): value for name, value in headers.items()})
