"""A started server whose sources lie in a store, shared by the tests of a class."""

from __future__ import annotations

from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import decode
from tests.support.process import Reply, Twistd

__all__ = ["StoreServer", "source_path"]


def source_path(url: str, options: str = "rs:force:20:10", extension: str = "@png") -> str:
    """The path of the image of *url*."""
    return f"/unsafe/{options}/plain/{quote(url, safe='')}{extension}"


class StoreServer(SynchronousTestCase):
    """Assertions about what clients of `server` see."""

    server: Twistd

    def image(self, url: str, options: str = "rs:force:20:10", extension: str = "@png", **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.get(source_path(url, options, extension), sent)

    def raw(self, url: str, **headers: str) -> Reply:
        return self.image(url, "raw:1", "", **headers)

    def assert_image(self, reply: Reply, size: tuple[int, int] = (20, 10)) -> None:
        self.assertEqual((reply.status, reply.headers.get("content-type")), (200, "image/png"), reply.body[:300])
        self.assertEqual(decode(reply.body).size, size)

    def assert_refused(self, reply: Reply, status: int = 404, *hidden: str) -> None:
        """An answer that says nothing of the store."""
        self.assertEqual(reply.status, status, reply.body[:300])
        text = reply.body.decode() + str(reply.headers)
        for word in ("<", '{"', "Error", "127.0.0.1", *hidden):
            self.assertNotIn(word, text)
