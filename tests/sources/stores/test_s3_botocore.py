"""Where botocore finds credentials: each way with the real service, or one that speaks like it, on loopback."""

from __future__ import annotations

import math
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import S3Settings
from imgforge.sources.stores.credentials_keeper import CredentialsError, Loaded
from imgforge.sources.stores.s3_botocore import credentials_loader, profile_region, require_botocore
from imgforge.sources.stores.s3_signature import Credentials
from imgforge.sources.stores.setting_mistakes import StoreMistake, require
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.metadata_server import MetadataServer
from tests.support.process import wait_for
from tests.support.s3_server import ACCOUNT, S3Server

ROLE = f"arn:aws:iam::{ACCOUNT}:role/images"
KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}


class BotocoreCase(SynchronousTestCase):
    def setUp(self) -> None:
        home = TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(home.cleanup)
        self.home = Path(home.name)

    def load(self, environment: dict[str, str], **settings: Any) -> Loaded[Credentials]:
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.home), "AWS_EC2_METADATA_DISABLED": "true"}
        with patch.dict(os.environ, clean | environment, clear=True):
            return credentials_loader(S3Settings(**settings), "eu-west-1")()

    def failure(self, environment: dict[str, str], **settings: Any) -> str:
        with self.assertRaises(CredentialsError) as caught:
            self.load(environment, **settings)
        return str(caught.exception)

    def key(self, environment: dict[str, str], **settings: Any) -> str:
        return self.load(environment, **settings).credentials.access_key

    def file(self, name: str, text: str) -> str:
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)


class FileTests(BotocoreCase):
    def test_environment(self) -> None:
        loaded = self.load(KEYS | {"AWS_SESSION_TOKEN": "token"})
        found = loaded.credentials
        self.assertEqual((found.access_key, found.secret_key, found.token), ("AKID", "secret", "token"))
        self.assertEqual(loaded.seconds, math.inf)
        self.assertEqual(self.load(KEYS).credentials.token, "")

    def test_shared_files_and_profiles(self) -> None:
        text = "[default]\naws_access_key_id = D\naws_secret_access_key = s\n"
        text += "[images]\naws_access_key_id = I\naws_secret_access_key = s\naws_session_token = t\n"
        path = self.file(".aws/credentials", text)
        self.assertEqual(self.key({}), "D")
        self.assertEqual(self.load({"AWS_PROFILE": "images"}).credentials.token, "t")
        self.assertEqual(self.key({"HOME": "/", "AWS_SHARED_CREDENTIALS_FILE": path, "AWS_PROFILE": "images"}), "I")
        self.assertIn("ProfileNotFound", self.failure({"AWS_PROFILE": "missing"}))

    def test_a_profile_has_a_region(self) -> None:
        path = self.file(".aws/config", "[profile images]\nregion = eu-south-1\n")
        environment = {"HOME": "/", "AWS_CONFIG_FILE": path}
        for name, region in {"images": "eu-south-1", "default": "", "missing": ""}.items():
            with patch.dict(os.environ, environment | {"AWS_PROFILE": name}, clear=True):
                self.assertEqual(profile_region(), region)

    def test_a_program_gives_credentials(self) -> None:
        document = '{"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "s"}'
        path = self.file("answer.json", document)
        self.file(".aws/config", f"[default]\ncredential_process = cat {path}\n")
        self.assertEqual(self.key({}), "P")

    def test_there_may_be_none(self) -> None:
        self.assertIn("botocore finds none: set AWS_ACCESS_KEY_ID", self.failure({}))
        self.assertIn("PartialCredentialsError", self.failure({"AWS_ACCESS_KEY_ID": "AKID"}))


class MetadataTests(BotocoreCase):
    def setUp(self) -> None:
        super().setUp()
        keys = {"AccessKeyId": "M", "SecretAccessKey": "secret", "SessionToken": "token"}
        self.service = MetadataServer(keys, seconds=7200)
        self.addCleanup(self.service.close)

    def check(self, environment: dict[str, str]) -> None:
        loaded = self.load(environment)
        self.assertEqual((loaded.credentials.access_key, loaded.credentials.token), ("M", "token"))
        self.assertTrue(7100 < loaded.seconds <= 7200, loaded)

    def test_machine(self) -> None:
        self.check({"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.service.url, "AWS_EC2_METADATA_DISABLED": "false"})
        self.assertIn("/latest/api/token", self.service.asked)

    def test_container(self) -> None:
        self.check(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.service.url}/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "containers-token",
            }
        )
        path = self.file("token", "containers-token")
        self.check(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.service.url}/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": path,
            }
        )

    def test_a_service_that_refuses(self) -> None:
        line = self.failure({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.service.url}/container"})
        self.assertIn("CredentialRetrievalError", line)


class StsTests(BotocoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = S3Server()
        self.addCleanup(self.server.close)
        self.sts = {"AWS_ENDPOINT_URL_STS": self.server.url}

    def check(self, loaded: Loaded[Credentials]) -> None:
        self.assertTrue(loaded.credentials.access_key.startswith("ASIA"), loaded)
        self.assertTrue(loaded.credentials.token)
        self.assertTrue(800 < loaded.seconds <= 3700, loaded)

    def test_assumed_role(self) -> None:
        self.check(self.load(KEYS | self.sts, assume_role_arn=ROLE, assume_role_external_id="imgforge-test"))

    def test_web_identity(self) -> None:
        token = self.file("token", "header.payload.signature")
        self.check(self.load({"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": token} | self.sts))

    def test_a_profile_that_assumes_a_role(self) -> None:
        self.file(".aws/credentials", "[base]\naws_access_key_id = B\naws_secret_access_key = s\n")
        self.file(".aws/config", f"[profile images]\nrole_arn = {ROLE}\nsource_profile = base\n")
        self.check(self.load({"AWS_PROFILE": "images"} | self.sts))

    def test_a_sts_that_is_silent_is_given_up(self) -> None:
        proxy = FaultProxy(self.server.host, lambda _: Fault(b"", stall=True))
        self.addCleanup(proxy.close)
        token = self.file("token", "header.payload.signature")
        sts = {"AWS_ENDPOINT_URL_STS": proxy.url, "AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": token}
        with patch("imgforge.sources.stores.s3_botocore._TIMEOUT", 0.1):
            self.assertIn("ReadTimeoutError", self.failure(sts))
        wait_for(lambda: len(proxy.requests) == 3, "the requests, which a thread reads")

    def test_a_role_that_may_not_be_assumed(self) -> None:
        self.server.check_access()
        line = self.failure(KEYS | self.sts, assume_role_arn=ROLE)
        self.assertIn("ClientError: An error occurred (InvalidClientTokenId)", line)
        self.assertNotIn("secret", line)


class MissingLibraryTests(SynchronousTestCase):
    def test_the_line_says_what_to_install(self) -> None:
        require_botocore()
        with self.assertRaises(StoreMistake) as caught:
            require("IMGFORGE_USE_S3", "botocore_that_is_missing.session", "botocore", "s3")
        self.assertEqual(str(caught.exception), "IMGFORGE_USE_S3 needs botocore: pip install 'twisted-imgforge[s3]'")
