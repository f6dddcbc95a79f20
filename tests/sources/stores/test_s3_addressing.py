"""Where buckets are: Amazon's hosts as botocore makes them, the operator's endpoints, access points."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import SourceNotFound
from imgforge.sources import S3Settings
from imgforge.sources.stores.s3_addressing import S3Addressing, addressing_mistakes
from imgforge.sources.stores.s3_signature import scope_of

ACCOUNT = "123456789012"
ARNS = (
    f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint/photos",
    f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint:photos",
    f"arn:aws-cn:s3:cn-north-1:{ACCOUNT}:accesspoint/photos",
    f"arn:aws:s3-object-lambda:eu-west-1:{ACCOUNT}:accesspoint/photos",
    f"arn:aws:s3-outposts:eu-west-1:{ACCOUNT}:outpost/op-01ac5d28a6a232904/accesspoint/photos",
)


def addressing(environment: dict[str, str] | None = None, **settings: Any) -> S3Addressing:
    return S3Addressing(S3Settings(**settings), environment or {})


def url(addressed: S3Addressing, bucket: str, region: str = "") -> str:
    address = addressed.address(bucket, region)
    return f"{address.origin}{address.path}/key"


class AmazonTests(SynchronousTestCase):
    """The vendor's library finds the same hosts."""

    session: Any

    @classmethod
    def setUpClass(cls) -> None:
        cls.session = botocore.session.Session()
        cls.session.set_credentials("key", "secret")

    def botocores(self, bucket: str, region: str, **settings: Any) -> tuple[str, str]:
        """The URL of a request for a key, and the scope of its signature."""
        sent: list[Any] = []

        def answer(request: Any, **_: Any) -> AWSResponse:
            sent.append(request)
            return AWSResponse(request.url, 200, {}, None)

        regional = {"us_east_1_regional_endpoint": "regional"}
        client = self.session.create_client("s3", region, config=Config(s3=regional, **settings))
        client.meta.events.register("before-send.s3", answer)
        client.get_object(Bucket=bucket, Key="key")
        scope = scope_of({"authorization": sent[0].headers["Authorization"].decode()})
        assert scope is not None
        return sent[0].url, f"{scope.region}/{scope.service}"

    def check(self, ours: S3Addressing, bucket: str, theirs: tuple[str, str], name: str = "") -> None:
        scope = ours.address(name or bucket).scope
        self.assertEqual((url(ours, name or bucket), f"{scope.region}/{scope.service}"), theirs)

    def test_buckets_of_all_partitions(self) -> None:
        for region in ("us-east-1", "eu-west-3", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1"):
            for bucket in ("photos", "photos.example.com", "a-1"):
                self.check(addressing(region=region), bucket, self.botocores(bucket, region))

    def test_fips_and_dual_stack_hosts(self) -> None:
        for environment, config in (
            ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, {"use_dualstack_endpoint": True}),
            ({"AWS_USE_FIPS_ENDPOINT": "true"}, {"use_fips_endpoint": True}),
        ):
            ours = addressing(environment, region="us-east-2")
            self.check(ours, "photos", self.botocores("photos", "us-east-2", **config))

    def test_access_points(self) -> None:
        for arn in ARNS:
            region = arn.split(":")[3]
            ours = addressing(access_points={"photos": arn})
            self.check(ours, "photos", self.botocores(arn, region))

    def test_a_bucket_in_another_region(self) -> None:
        ours = addressing(region="eu-west-1")
        self.assertEqual(url(ours, "photos", "eu-west-3"), "https://photos.s3.eu-west-3.amazonaws.com/key")
        self.assertEqual(ours.address("photos", "eu-west-3").scope.region, "eu-west-3")
        for region, may in {"eu-west-3": True, "cn-north-1": False, "evil.example/": False, "": False}.items():
            self.assertEqual(ours.may_move("photos", region), may, region)
        self.assertFalse(addressing(access_points={"photos": ARNS[0]}).may_move("photos", "eu-west-3"))


class RegionTests(SynchronousTestCase):
    def test_the_setting_comes_before_the_environment(self) -> None:
        both = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
        self.assertEqual(addressing(both, region="eu-west-3").region, "eu-west-3")
        self.assertEqual(addressing(both).region, "eu-west-1")
        self.assertEqual(addressing({"AWS_DEFAULT_REGION": "eu-west-2"}).region, "eu-west-2")
        self.assertEqual(S3Addressing(S3Settings(), {}, "eu-south-1").region, "eu-south-1")
        self.assertEqual(addressing().region, "us-west-1")
        self.assertEqual(addressing(region="aws-global").region, "us-east-1")


class EndpointTests(SynchronousTestCase):
    def test_without_a_scheme_it_is_http(self) -> None:
        for endpoint, expected in {
            "minio:9000": "http://minio:9000/photos/key",
            "minio": "http://minio/photos/key",
            "http://Minio:80/": "http://minio/photos/key",
            "https://minio:443": "https://minio/photos/key",
            "https://store.example/s3/": "https://store.example/s3/photos/key",
            "http://[::1]:9000": "http://[::1]:9000/photos/key",
            "127.0.0.1:9000": "http://127.0.0.1:9000/photos/key",
        }.items():
            self.assertEqual(url(addressing(endpoint=endpoint), "photos"), expected)

    def test_the_bucket_in_the_host(self) -> None:
        for endpoint, bucket, expected in (
            ("http://store:9000", "photos", "http://photos.store:9000/key"),
            ("http://store:9000", "photos.eu", "http://photos.eu.store:9000/key"),
            ("https://store.example", "photos.eu", "https://store.example/photos.eu/key"),
            ("https://store.example", "Photos", "https://store.example/Photos/key"),
            ("http://127.0.0.1:9000", "photos", "http://127.0.0.1:9000/photos/key"),
        ):
            self.assertEqual(url(addressing(endpoint=endpoint, path_style=False), bucket), expected)

    def test_variables_of_aws_name_an_endpoint_where_the_setting_does_not(self) -> None:
        common = {"AWS_ENDPOINT_URL": "http://all:1"}
        self.assertEqual(addressing(common).endpoint, "http://all:1")
        self.assertEqual(addressing(common | {"AWS_ENDPOINT_URL_S3": "http://s3:2"}).endpoint, "http://s3:2")
        self.assertEqual(addressing(common, endpoint="ours:3").endpoint, "http://ours:3")
        self.assertEqual(addressing(common | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}).endpoint, "")

    def test_an_access_point_of_an_endpoint(self) -> None:
        ours = addressing(endpoint="http://store:9000", access_points={"photos": ARNS[0], "other": "renamed"})
        self.assertEqual(url(ours, "photos"), f"http://photos-{ACCOUNT}.store:9000/key")
        self.assertEqual(url(ours, "other"), "http://store:9000/renamed/key")


class NameTests(SynchronousTestCase):
    def test_names_that_no_bucket_can_have(self) -> None:
        for bucket in (
            "",
            ".",
            "..",
            "a/b",
            "a:80",
            "user@a",
            "a?b",
            "a#b",
            "a%2e",
            "a\n",
            "ä",
            "-a",
            "a b",
            "x" * 300,
        ):
            for ours in (addressing(), addressing(endpoint="store:9"), addressing(endpoint="store", path_style=False)):
                with self.assertRaises(SourceNotFound):
                    ours.address(bucket)

    @given(st.text(st.characters(max_codepoint=0x17F)), st.booleans(), st.sampled_from(["", "http://store:9000"]))
    def test_no_name_changes_the_host(self, bucket: str, path_style: bool, endpoint: str) -> None:
        ours = addressing(endpoint=endpoint, path_style=path_style)
        try:
            parts = urlsplit(url(ours, bucket))
        except SourceNotFound:
            return
        host = "store:9000" if endpoint else "s3.us-west-1.amazonaws.com"
        self.assertIn((parts.netloc, parts.path), ((host, f"/{bucket}/key"), (f"{bucket}.{host}", "/key")))


class MistakeTests(SynchronousTestCase):
    def lines(self, environment: dict[str, str] | None = None, **settings: Any) -> list[str]:
        return list(addressing_mistakes(S3Settings(**settings), environment or {}))

    def test_good_settings_have_none(self) -> None:
        self.assertEqual(self.lines(), [])
        points = {str(number): arn for number, arn in enumerate((*ARNS, "an-alias-s3alias"))}
        self.assertEqual(self.lines(endpoint="https://store/x", access_points=points), [])

    def test_endpoints(self) -> None:
        for endpoint in (
            "ftp://x",
            "http://",
            "http://user:pass@host",
            "http://h/?q",
            "http://h:99999",
            "http://[x]",
            "a b",
        ):
            (line,) = self.lines(endpoint=endpoint)
            self.assertIn("IMGFORGE_S3_ENDPOINT", line)
        (line,) = self.lines({"AWS_ENDPOINT_URL": "http://"})
        self.assertIn("AWS_ENDPOINT_URL", line)

    def test_regions(self) -> None:
        (line,) = self.lines({"AWS_REGION": "evil.example/"})
        self.assertIn("AWS_REGION='evil.example/' must be the name of a region", line)
        self.assertEqual(self.lines({"AWS_REGION": "evil.example/"}, region="eu-west-1"), [])

    def test_access_points(self) -> None:
        for arn, why in {
            "arn:aws:s3:::bucket": "no ARN of an S3 access point",
            f"arn:aws:s3::{ACCOUNT}:accesspoint/x.mrap": "multi-region",
            f"arn:aws:s3:eu-west-1:{ACCOUNT}:bucket/x": "is no access point",
            f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/x.evil": "is no access point",
            "no bucket": "neither an ARN nor a bucket",
        }.items():
            (line,) = self.lines(access_points={"photos": arn})
            self.assertIn(why, line)
        (line,) = self.lines(access_points={"photos": ARNS[0]}, endpoint="127.0.0.1:9000")
        self.assertIn("needs a store with a host name", line)
