"""Originals in Swift, through the started server: OpenStack's where it is installed, and a small one with faults."""

from __future__ import annotations

import base64
import http.client
import select
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Origin, Reply, Twistd, wait_for
from tests.support.swift_server import RealSwift, SmallSwift

_PICTURE = encode(gradient(64, 40), "PNG")
_ODD_NAMES = ("a b+c.png", "a//b.png", "x/../y.png", "100%25.png", "ü/日本.png", "#;:@&=,~!*'().png", ".../..a.png")


def _path(name: str, container: str = "images", options: str = "raw:1") -> str:
    return f"/unsafe/{options}/plain/{quote(f'swift://{container}/{name}', safe='')}"


class SwiftServer(SynchronousTestCase):
    """A store and a server in front of it, shared by the tests of a class."""

    store: RealSwift | SmallSwift
    server: Twistd
    settings: dict[str, str] = {}

    @classmethod
    def make_store(cls) -> RealSwift | SmallSwift:
        return SmallSwift()

    @classmethod
    def setUpClass(cls) -> None:
        cls.store = cls.make_store()
        try:
            for name in ("a.png", *_ODD_NAMES):
                cls.store.put("images", name, _PICTURE + name.encode() if name != "a.png" else _PICTURE)
            cls.store.put("private", "a.png", _PICTURE)
            chosen = {"PROCESSES": "1", "ALLOWED_SOURCES": "", "SWIFT_DENIED_BUCKETS": "private"}
            cls.server = Twistd(chosen | cls.store.settings | cls.settings).start()
        except BaseException:
            cls.store.close()
            raise

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()
        cls.server.clean()
        cls.store.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.server.get(path, {name.replace("_", "-"): value for name, value in headers.items()})


class ImageTests(SwiftServer):
    def test_image_is_made(self) -> None:
        reply = self.get(_path("a.png", options="rs:fill:16:10/f:png"))
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "image/png"))
        self.assertEqual(decode(reply.body).size, (16, 10))

    def test_missing_object_and_container(self) -> None:
        for path in (
            _path("missing.png"),
            _path("a.png", "missing"),
            _path("a.png", options="w:8").replace("a.png", "b"),
        ):
            reply = self.get(path)
            self.assertEqual(reply.status, 404)
            self.assertNotIn(b"<", reply.body)
            self.assertNotIn(b"AUTH_", reply.body)

    def test_denied_container_and_names_that_lead_there(self) -> None:
        for path in (_path("a.png", "private"), _path("../private/a.png"), _path("x//../../private/a.png")):
            self.assertEqual(self.get(path).status, 404, path)

    def test_odd_names(self) -> None:
        for name in _ODD_NAMES:
            reply = self.get(_path(name))
            self.assertEqual((reply.status, reply.body), (200, _PICTURE + name.encode()), name)

    def test_range(self) -> None:
        reply = self.get(_path("a.png"), Range="bytes=1-3")
        self.assertEqual((reply.status, reply.body), (206, b"PNG"))
        self.assertEqual(reply.headers["content-range"], f"bytes 1-3/{len(_PICTURE)}")
        reply = self.get(_path("a.png"), Range=f"bytes={len(_PICTURE)}-")
        self.assertEqual((reply.status, reply.headers["content-range"]), (416, f"bytes */{len(_PICTURE)}"))

    def test_304_carries_the_etag(self) -> None:
        first = self.get(_path("a.png"))
        again = self.get(_path("a.png"), If_None_Match=first.headers["etag"])
        self.assertEqual((again.status, again.headers["etag"]), (304, first.headers["etag"]))
        again = self.get(_path("a.png"), If_Modified_Since=first.headers["last-modified"])
        self.assertEqual(again.status, 304)

    def test_watermark_out_of_the_store(self) -> None:
        mark = quote("swift://images/a.png", safe="")
        self.assertEqual(
            self.get(f"/unsafe/w:32/wm:1/wmu:{_base64('swift://images/a.png')}/plain/{mark}@png").status, 200
        )


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


class Version2Tests(ImageTests):
    @classmethod
    def make_store(cls) -> SmallSwift:
        return SmallSwift(2)


class RealSwiftTests(ImageTests):
    """Against OpenStack Swift with tempauth."""

    store: RealSwift

    @classmethod
    def make_store(cls) -> RealSwift:
        return RealSwift()

    def test_revoked_token_is_renewed(self) -> None:
        self.assertEqual(self.get(_path("a.png")).status, 200)
        self.store.forget_tokens()
        self.assertEqual(self.get(_path("a.png")).status, 200)
        wait_for(lambda: self.server.output().count("swift: authenticated") == 2, "the second line")

    def test_user_without_a_read_acl_is_named_in_the_log(self) -> None:
        reader = {"SWIFT_USERNAME": "test:reader", "SWIFT_API_KEY": "reading"}
        server = Twistd({"PROCESSES": "1"} | self.store.settings | reader)
        self.addCleanup(server.clean)
        self.addCleanup(server.stop)
        reply = server.start().get(_path("a.png"))
        self.assertEqual((reply.status, reply.body.strip()), (404, b"the origin answered 403"))
        server.assert_logged("IMGFORGE_SWIFT_USERNAME may not read the container")


class RealKeystoneTests(ImageTests):
    """Against OpenStack Swift with Keystone."""

    @classmethod
    def make_store(cls) -> RealSwift:
        return RealSwift(keystone=True)


class FaultTests(SynchronousTestCase):
    """A store and a server of its own for each test."""

    def setUp(self) -> None:
        self.store = SmallSwift(3)
        self.addCleanup(self.store.close)
        self.store.put("images", "a.png", _PICTURE)

    def start(self, **settings: str) -> Twistd:
        server = Twistd({"PROCESSES": "1"} | self.store.settings | settings)
        self.addCleanup(server.clean)
        self.addCleanup(server.stop)
        return server.start()

    def test_token_is_renewed_once(self) -> None:
        server = self.start()
        self.assertEqual(server.get(_path("a.png")).status, 200)
        self.store.forget_tokens()
        self.assertEqual(server.get(_path("a.png")).status, 200)
        self.assertEqual(server.get(_path("a.png")).status, 200)
        self.assertEqual(len(self.store.authentications), 2)

    def test_one_503_is_retried(self) -> None:
        server = self.start()
        self.store.statuses = [503]
        self.assertEqual(server.get(_path("a.png", options="w:8")).status, 200)

    def test_outage_is_no_404(self) -> None:
        server = self.start()
        self.store.statuses = [503] * 100
        reply = server.get(_path("a.png", options="w:8"))
        self.assertEqual((reply.status, b"secret" in reply.body), (502, False))
        self.store.close()
        self.assertEqual(server.get(_path("b.png", options="w:8")).status, 502)

    def test_wrong_key_is_named_in_the_log_and_not_to_clients(self) -> None:
        server = self.start(SWIFT_API_KEY="a-wrong-key")
        reply = server.get(_path("a.png"))
        self.assertEqual(
            (reply.status, reply.body.strip()), (502, b"this server cannot authenticate with the object store")
        )
        server.assert_logged("refuses the credentials (401)", "IMGFORGE_SWIFT_DOMAIN", "swift: cannot get credentials")
        self.assertNotIn("a-wrong-key", server.output())

    def test_hanging_authentication_holds_up_no_other_origin(self) -> None:
        origin = Origin({"/a.png": _PICTURE})
        self.addCleanup(origin.close)
        self.store.hold()
        server = self.start(DOWNLOAD_TIMEOUT="60", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", WORKERS="2")
        stalled = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE) for _ in range(12)]
        for client in stalled:
            self.addCleanup(client.close)
            client.request("GET", _path("a.png", options="w:8"))
        for width in range(1, 20):
            reply = server.get(f"/unsafe/w:{width}/plain/{quote(origin.url('/a.png'), safe='')}")
            self.assertEqual(reply.status, 200)
        self.assertEqual(select.select([client.sock for client in stalled], [], [], 0)[0], [])
        self.assertEqual(len(self.store.authentications), 1)
        self.store.release()
        self.assertEqual({client.getresponse().status for client in stalled}, {200})

    def test_hanging_authentication_is_a_timeout(self) -> None:
        self.store.hold()
        server = self.start(DOWNLOAD_TIMEOUT="1")
        reply = server.get(_path("a.png", options="w:8"))
        self.assertEqual(reply.status, 504)
        self.assertIn(b"the store's authentication service does not answer", reply.body)
        server.assert_logged(self.store.auth_url.rstrip("/"))

    def test_settings_that_are_missing_stop_the_start(self) -> None:
        server = Twistd({"USE_SWIFT": "true", "SWIFT_AUTH_URL": "http://127.0.0.1:1/", "SWIFT_USERNAME": "u"})
        self.addCleanup(server.clean)
        server.launch()
        wait_for(lambda: server.ended, "the end of a server without credentials")
        server.assert_logged("IMGFORGE_USE_SWIFT needs IMGFORGE_SWIFT_API_KEY")
        server.assert_logged("IMGFORGE_SWIFT_AUTH_VERSION must be 1, 2 or 3")

    def test_scheme_without_the_setting(self) -> None:
        server = self.start(USE_SWIFT="false")
        reply = server.get(_path("a.png"))
        self.assertEqual(reply.status, 404)
        self.assertIn(b"IMGFORGE_USE_SWIFT is not set", reply.body)
