"""Images out of S3 through the real server: moto's S3, STS and IAM, with signatures and policies verified."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fault_proxy import PASS, FaultProxy, ProxiedRequest, answer
from tests.support.metadata_server import MetadataServer
from tests.support.pictures import decode, encode, gradient
from tests.support.process import ROOT, Origin, Reply, Twistd, wait_for
from tests.support.s3_server import S3Server

PICTURE = encode(gradient(64, 40), "PNG")
ODD_KEYS = ("a//b", "a/../b", "./a", "a+b", "a%2Fb", "a b", "ä/日本.jpg", "a#c", "a&b=c;d", "100%", "*'()!~", "a@b.png")
# docs/storage_s3.md: what is needed to serve a bucket, and to tell a missing key from one that is denied.
READ = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": "arn:aws:s3:::photos/*"}
LIST = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::photos"}


class S3Case(SynchronousTestCase):
    """Starts servers in front of moto, and asserts of each refusal that it tells a client nothing of the store."""

    store: S3Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.store = S3Server()
        cls.store.put("photos", "a.png", PICTURE, ContentType="image/png", CacheControl="max-age=77")
        cls.store.put("private", "a.png", PICTURE)
        cls.prepare()
        cls.user = cls.store.user("images", READ, LIST)
        cls.role = cls.store.role("images", READ, LIST)
        cls.temporary = cls.store.assume(cls.role)
        cls.store.check_access()

    user: dict[str, str]
    role: str
    temporary: dict[str, Any]

    @classmethod
    def prepare(cls) -> None:
        """Store what the tests of the class need, while nothing is checked."""

    @classmethod
    def tearDownClass(cls) -> None:
        cls.store.close()

    def server(self, environment: Mapping[str, str] | None = None, **settings: str) -> Twistd:
        # Nothing of the machine that runs the tests, and no address policy that lets loopback in.
        variables = {"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
        made = Twistd(
            {"USE_S3": "true", "S3_ENDPOINT": self.store.host, "PROCESSES": "1", "DOWNLOAD_TIMEOUT": "30"} | settings,
            environment=variables | dict(self.user if environment is None else environment),
        )
        self.addCleanup(made.clean)
        return made

    def get(self, server: Twistd, url: str, options: str = "w:32", extension: str = "@png", **headers: str) -> Reply:
        path = f"/unsafe/{options}/plain/{quote(url, safe='')}{extension}"
        return server.get(path, {name.replace("_", "-"): value for name, value in headers.items()})

    def assert_serves(self, server: Twistd, url: str = "s3://photos/a.png") -> None:
        reply = self.get(server, url)
        self.assertEqual(reply.status, 200, (url, reply.body, server.output()))
        self.assertEqual(decode(reply.body).size, (32, 20))

    def assert_refuses(self, status: int, server: Twistd, url: str, options: str = "w:32") -> str:
        """The line that the client gets."""
        reply = self.get(server, url, options)
        self.assertEqual(reply.status, status, (url, reply.body, server.output()))
        line, head = reply.body.decode(), str(reply.headers)
        secrets = [*self.user.values(), *map(str, self.temporary.values()), self.store.host, "127.0.0.1"]
        for secret in [*secrets, "<", "AccessDenied", "HostId", "RequestId", "Credential", "botocore", "x-amz"]:
            self.assertNotIn(secret, line + head)
        for secret in (self.user["AWS_SECRET_ACCESS_KEY"], self.temporary["SecretAccessKey"], "Signature="):
            self.assertNotIn(secret, server.output())
        self.assertEqual(line.count("\n"), 1)
        return line


class ImageTests(S3Case):
    """What one server serves with the least rights."""

    @classmethod
    def prepare(cls) -> None:
        cls.store.s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
        for key in ODD_KEYS:
            cls.store.put("photos", key, PICTURE)
        cls.first = cls.store.put("photos", "versions.png", PICTURE)["VersionId"]
        cls.store.put("photos", "versions.png", encode(gradient(10, 10), "PNG"))
        cls.store.put("photos", "mark.png", encode(gradient(8, 8), "PNG"))

    first: str

    def setUp(self) -> None:
        self.running = self.server(
            S3_DENIED_BUCKETS="denied",
            WATERMARK_URL="s3://photos/mark.png",
        ).start()

    def test_images_and_refusals(self) -> None:
        server = self.running
        self.assert_serves(server)
        for key in ODD_KEYS:
            self.assert_serves(server, f"s3://photos/{key}")
        self.assert_refuses(404, server, "s3://photos/missing.png")
        self.assert_refuses(404, server, "s3://private/a.png")
        server.assert_logged("AccessDenied: the credentials need s3:GetObject on this key")
        self.assert_refuses(404, server, "s3://no-such-bucket/a.png")
        self.assertIn("not among those", self.assert_refuses(404, server, "s3://denied/a.png"))
        self.assertIn("lacks the bucket or the key", self.assert_refuses(404, server, "s3://photos/"))
        self.assert_refuses(404, server, "s3://photos/../private/a.png")

    def test_versions(self) -> None:
        self.assertEqual(decode(self.get(self.running, "s3://photos/versions.png").body).size, (10, 10))
        self.assert_serves(self.running, f"s3://photos/versions.png?{self.first}")
        self.assert_refuses(404, self.running, "s3://photos/versions.png?00000000-no-such-version")

    def test_whole_and_part_of_an_original_as_it_is(self) -> None:
        def raw(url: str = "s3://photos/a.png", **headers: str) -> Reply:
            return self.get(self.running, url, "raw:1", "", **headers)

        whole = raw()
        self.assertEqual((whole.status, whole.body), (200, PICTURE))
        part = raw(Range="bytes=10-19")
        self.assertEqual((part.status, part.body), (206, PICTURE[10:20]))
        self.assertEqual(part.headers["content-range"], f"bytes 10-19/{len(PICTURE)}")
        self.assertEqual(raw(Range="bytes=-5").body, PICTURE[-5:])
        past = raw(Range=f"bytes={len(PICTURE)}-")
        self.assertEqual(past.status, 416)
        self.assertNotIn(b"<", past.body)
        unchanged = raw(If_None_Match=whole.headers["etag"])
        self.assertEqual((unchanged.status, unchanged.body), (304, b""))
        self.assertEqual(unchanged.headers["etag"], whole.headers["etag"])
        resumed = raw(Range="bytes=10-19", If_Range=whole.headers["etag"])
        self.assertIn(resumed.status, (200, 206))
        self.assert_refuses(404, self.running, "s3://photos/missing.png", "raw:1")

    def test_a_watermark_out_of_a_bucket(self) -> None:
        plain = self.get(self.running, "s3://photos/a.png")
        marked = self.get(self.running, "s3://photos/a.png", "w:32/wm:1:ce")
        self.assertEqual(marked.status, 200)
        self.assertNotEqual(decode(marked.body).getpixel((16, 10)), decode(plain.body).getpixel((16, 10)))


class OtherSettingsTests(S3Case):
    def test_a_fallback_image_out_of_a_bucket(self) -> None:
        server = self.server(FALLBACK_IMAGE_URL="s3://photos/a.png", FALLBACK_IMAGE_HTTP_CODE="200").start()
        reply = self.get(server, "s3://photos/missing.png")
        self.assertEqual((reply.status, decode(reply.body).size), (200, (32, 20)))
        self.assertIn("fallback-image", reply.headers)

    def test_allowed_sources_and_the_separator_of_versions(self) -> None:
        server = self.server(ALLOWED_SOURCES="s3://photos/", SOURCE_URL_QUERY_SEPARATOR="--").start()
        self.assert_serves(server)
        self.assert_refuses(404, server, "s3://private/a.png")
        self.assert_refuses(404, server, "s3://photos/a.png?1")  # a key of that name

    def test_a_cached_original_is_revalidated(self) -> None:
        proxy = FaultProxy(self.store.host)
        self.addCleanup(proxy.close)
        server = self.server(
            S3_ENDPOINT=proxy.host, CACHE_TYPE="memory", CACHE_TTL="0.3", ALLOW_UNSIGNED="true"
        ).start()
        first = self.get(server, "s3://photos/a.png")
        self.assertEqual(first.status, 200, server.output())

        def revalidated() -> bool:
            reply = self.get(server, "s3://photos/a.png")
            self.assertEqual((reply.status, reply.body), (200, first.body))
            return "revalidated" in reply.headers["cache-status"]

        wait_for(revalidated, "an entry that is revalidated")
        self.assertIn("if-none-match", proxy.requests[-1].headers)

    def test_buckets_that_are_allowed_and_denied(self) -> None:
        server = self.server(S3_ALLOWED_BUCKETS="photos,private", S3_DENIED_BUCKETS="private").start()
        self.assert_serves(server)
        for bucket in ("private", "other"):
            self.assertIn("not among those", self.assert_refuses(404, server, f"s3://{bucket}/a.png"))

    def test_it_is_off_by_default(self) -> None:
        server = self.server(USE_S3="false").start()
        self.assertIn("IMGFORGE_USE_S3 is not set", self.assert_refuses(404, server, "s3://photos/a.png"))

    def test_without_botocore_the_start_says_what_to_install(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        Path(scratch.name, "botocore.py").write_text("")  # hides the package
        server = self.server({"PYTHONPATH": os.pathsep.join([scratch.name, str(ROOT)])})
        server.launch()
        wait_for(lambda: server.ended, "the end of a start that fails")
        server.assert_logged("imgforge: IMGFORGE_USE_S3 needs botocore: pip install 'twisted-imgforge[s3]'\n")

    def test_mistakes_end_the_start_with_a_line_each(self) -> None:
        server = self.server(
            S3_ENDPOINT="ftp://store", S3_ACCESS_POINTS="photos=arn:aws:s3::123456789012:accesspoint/m.mrap"
        )
        server.launch()
        wait_for(lambda: server.ended, "the end of a start that fails")
        lines = [line for line in server.output().splitlines() if line.startswith("imgforge: ")]
        self.assertEqual(len(lines), 2, server.output())
        self.assertIn("IMGFORGE_S3_ENDPOINT='ftp://store' must be the URL of an S3 store", lines[0])
        self.assertIn("multi-region access points", lines[1])


class CredentialsTests(S3Case):
    """Each way to credentials, to a first image."""

    base: dict[str, str]

    @classmethod
    def prepare(cls) -> None:
        cls.base = cls.store.user("base", {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"})

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.home = Path(scratch.name)

    def check(self, environment: Mapping[str, str], **settings: str) -> None:
        server = self.server(environment, **settings).start()
        self.assert_serves(server)
        self.assert_refuses(404, server, "s3://private/a.png")
        self.assertEqual(server.stop(), 0)

    def metadata(self) -> MetadataServer:
        service = MetadataServer(self.temporary)
        self.addCleanup(service.close)
        return service

    def test_session_token(self) -> None:
        names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
                 "SessionToken": "AWS_SESSION_TOKEN"}  # fmt: skip
        self.check({variable: self.temporary[name] for name, variable in names.items()})

    def test_shared_file_and_profile(self) -> None:
        lines = [f"{name.lower()} = {value}" for name, value in self.user.items()]
        (self.home / "credentials").write_text("\n".join(["[images]", *lines, ""]))
        file = str(self.home / "credentials")
        self.check({"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "images"})

    def test_assumed_role(self) -> None:
        self.check(
            self.base | {"AWS_ENDPOINT_URL_STS": self.store.url},
            S3_ASSUME_ROLE_ARN=self.role,
            S3_ASSUME_ROLE_EXTERNAL_ID="imgforge-test",
        )

    def test_web_identity(self) -> None:
        (self.home / "token").write_text("header.payload.signature")
        self.store.stop_checking()
        self.addCleanup(self.store.check_access)
        server = self.server(
            {
                "AWS_ROLE_ARN": self.role,
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.home / "token"),
                "AWS_ENDPOINT_URL_STS": self.store.url,
            }
        ).start()
        self.assert_serves(server)
        self.store.check_access()
        self.assert_serves(server)
        self.assert_refuses(404, server, "s3://private/a.png")

    def test_container(self) -> None:
        self.check(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.metadata().url}/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "containers-token",
            }
        )

    def test_machine(self) -> None:
        url = self.metadata().url
        self.check({"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_EC2_METADATA_DISABLED": "false"})

    def test_none_is_a_warning_at_the_start_and_502_later(self) -> None:
        server = self.server({}).start()
        wait_for(lambda: "botocore finds none" in server.output(), "the warning")
        server.assert_logged("s3: cannot get credentials: botocore finds none: set AWS_ACCESS_KEY_ID")
        self.assertIn("cannot authenticate", self.assert_refuses(502, server, "s3://photos/a.png"))

    def test_a_wrong_secret(self) -> None:
        server = self.server(self.user | {"AWS_SECRET_ACCESS_KEY": "wrong"}).start()
        self.assert_refuses(404, server, "s3://photos/a.png")
        server.assert_logged("SignatureDoesNotMatch: the secret key is wrong")


class HeartbeatTests(S3Case):
    """A metadata service that hangs delays only those who need it."""

    def setUp(self) -> None:
        self.service = MetadataServer(self.temporary, seconds=40)
        self.addCleanup(self.service.close)
        self.origin = Origin({"/a.png": PICTURE})
        self.addCleanup(self.origin.close)
        self.environment = {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.service.url,
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_METADATA_SERVICE_TIMEOUT": "60",
        }

    def test_images_of_others_are_served_while_it_is_silent(self) -> None:
        self.service.hold()
        server = self.server(self.environment, ALLOW_LOOPBACK_SOURCE_ADDRESSES="true").start()
        wait_for(lambda: self.service.asked, "the request for credentials")
        for number in range(20):
            reply = self.get(server, self.origin.url("/a.png"), f"w:{number + 20}")
            self.assertEqual(reply.status, 200)
        self.assertEqual(len(self.service.asked), 1)  # and it still waits
        self.service.release()
        wait_for(lambda: self.get(server, "s3://photos/a.png").status == 200, "an image out of the bucket")


class FaultTests(S3Case):
    """Through a proxy: what a store does to its answers reaches no client."""

    def setUp(self) -> None:
        self.proxy = FaultProxy(self.store.host)
        self.addCleanup(self.proxy.close)
        self.running = self.server(S3_ENDPOINT=self.proxy.host).start()

    def test_a_bucket_that_has_moved(self) -> None:
        moved = answer(301, "<Error><Code>PermanentRedirect</Code></Error>", x_amz_bucket_region="eu-west-3")

        def choose(request: ProxiedRequest) -> Any:
            return PASS if "/eu-west-3/s3/" in request.headers["authorization"] else moved

        self.proxy.choose = choose
        self.assert_serves(self.running)
        self.running.assert_logged("s3://photos lies in eu-west-3, not in us-west-1")

    def test_refusals_and_outages(self) -> None:
        error = "<Error><Code>{}</Code><Message>at 127.0.0.1</Message><HostId>x</HostId></Error>"
        for status, code, expected in (
            (403, "AccessDenied", 404),
            (400, "ExpiredToken", 502),
            (403, "RequestTimeTooSkewed", 404),
            (404, "NoSuchKey", 404),
            (500, "InternalError", 502),
            (503, "SlowDown", 502),
        ):
            self.proxy.choose = lambda _, status=status, code=code: answer(status, error.format(code))  # type: ignore[misc]
            self.assert_refuses(expected, self.running, "s3://photos/a.png")
        self.proxy.choose = lambda _: PASS
        self.assert_serves(self.running)

    def test_no_key_or_signature_is_logged(self) -> None:
        self.assert_serves(self.running)
        output = self.running.output()
        self.assertNotIn(self.user["AWS_ACCESS_KEY_ID"], output)
        self.assertIsNone(re.search(r"[0-9a-f]{64}", output))
