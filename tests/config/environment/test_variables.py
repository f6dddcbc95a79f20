"""Variables of a file, and of secret stores as moto and a server of Google's REST interface have them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, Settings, load_settings
from imgforge.config.environment import EnvironmentMistake, StoreSettings, Variables
from imgforge.config.environment.store_process import _ask
from tests.support.s3_server import S3Server
from tests.support.token_server import TokenServer, service_account

KEY = "4b1d" * 16


class VariablesCase(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.environ = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(filter(None, sys.path))}
        self.environ |= {"HOME": str(self.scratch), "NO_GCE_CHECK": "true", "AWS_EC2_METADATA_DISABLED": "true"}

    def named(self, environ: dict[str, str]) -> dict[str, str]:
        return {f"IMGFORGE_{name.upper()}" if name.islower() else name: value for name, value in environ.items()}

    def load(self, **environ: str) -> Settings:
        """The settings of *environ*, whose names have no prefix where they are in lower case."""
        self.environ |= self.named(environ)
        return load_settings(None, self.environ)

    def mistakes(self, **environ: str) -> tuple[str, ...]:
        with self.assertRaises(ConfigurationError) as caught:
            self.load(**environ)
        lines: tuple[str, ...] = caught.exception.lines
        return lines

    def ask(self, **environ: str) -> dict[str, str]:
        """What the stores have, without the process of their own; `asked` has it as it comes."""
        self.environ |= self.named(environ)
        with patch.dict("os.environ", self.environ, clear=True):
            self.asked = Variables(tuple(_ask(StoreSettings(self.environ, {}))))
        return self.asked.values

    def refusal(self, **environ: str) -> str:
        with self.assertRaises(EnvironmentMistake) as caught:
            self.ask(**environ)
        return str(caught.exception)

    def file(self, text: str, name: str = "env") -> str:
        path = self.scratch / name
        path.write_text(text)
        return str(path)


class FileTests(VariablesCase):
    def test_file_wins_over_the_environment(self) -> None:
        path = self.file("IMGFORGE_QUALITY=40\nIMGFORGE_TTL=${BASE}0\n")
        settings = self.load(env_local_file_path=path, quality="30", timeout="7", BASE="6")
        self.assertEqual((settings.quality, settings.ttl, settings.timeout), (40, 60, 7))

    def test_command_line_wins_over_the_file_and_the_file_over_toml_which_may_name_it(self) -> None:
        path = self.file("IMGFORGE_QUALITY=40\nIMGFORGE_BIND=127.0.0.1:1\n")
        config = self.file(f'env_local_file_path = "{path}"\nquality = 30\ntimeout = 7\n', "toml")
        settings = load_settings(config, self.environ, {"bind": "127.0.0.1:2"})
        self.assertEqual((settings.quality, settings.timeout, settings.bind), (40, 7, "127.0.0.1:2"))

    def test_other_variables_are_for_libraries(self) -> None:
        path = self.file(f"AWS_PROFILE=images\nIMGFORGE_KEY={KEY}\nIMGFORGE_SALT={KEY}\nIMGPROXY_TTL=1\n")
        settings = self.load(env_local_file_path=path)
        self.assertEqual(self.environ["AWS_PROFILE"], "images")
        self.assertEqual(settings.variables, {"AWS_PROFILE": "images"})
        self.assertNotIn("IMGFORGE_KEY", self.environ)
        self.assertEqual(settings.key, (bytes.fromhex(KEY),))
        self.assertTrue(any("IMGPROXY_TTL: not read; rename" in line for line in settings.warnings()))

    def test_plugins_settings(self) -> None:
        path = self.file("IMGFORGE_PLUGIN_ZIP_ROOT=/srv\n")
        self.assertEqual(self.load(env_local_file_path=path).plugin, {"zip": {"root": "/srv"}})

    def test_mistakes_are_one_line_each(self) -> None:
        missing = str(self.scratch / "none")
        self.assertEqual(
            self.mistakes(env_local_file_path=missing, ttl="nonsense"),
            (f"IMGFORGE_ENV_LOCAL_FILE_PATH: the file {missing!r} cannot be read: No such file or directory",),
        )
        path = self.file("IMGFORGE_KEY\nhunter2")
        (line,) = self.mistakes(env_local_file_path=path)
        self.assertTrue(line.endswith(": line 1 must be NAME=value"), line)
        (self.scratch / "latin").write_bytes(b"A=\xff")
        (line,) = self.mistakes(env_local_file_path=str(self.scratch / "latin"))
        self.assertTrue(line.endswith("is not UTF-8"), line)
        (self.scratch / "long").write_bytes(b"#" * 1024 * 1024 + b"\n")
        (line,) = self.mistakes(env_local_file_path=str(self.scratch / "long"))
        self.assertIn("is longer than", line)
        (line,) = self.mistakes(env_local_file_path=str(self.scratch))
        self.assertIn("Is a directory", line)

    def test_mistake_in_a_value_names_the_file(self) -> None:
        path = self.file("IMGFORGE_TTL=nonsense\nIMGFORGE_NONSENSE=1\nIMGFORGE_SECRET=a\\0b\n")
        lines = self.mistakes(env_local_file_path=path)
        self.assertEqual(len(lines), 2, lines)
        for line in lines:
            self.assertIn(f"in {path}", line)


class AwsTests(VariablesCase):
    server: S3Server

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server = S3Server()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()
        super().tearDownClass()

    def setUp(self) -> None:
        super().setUp()
        self.server._post("reset")
        self.environ |= {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "operators-secret"}
        self.environ |= {"AWS_ENDPOINT_URL_SECRETS_MANAGER": self.server.url, "AWS_ENDPOINT_URL_SSM": self.server.url}

    def secret(self, text: str, region: str = "us-west-1", **values: Any) -> str:
        client = self.server.client("secretsmanager", region)
        version: str = client.create_secret(Name="images/env", SecretString=text, **values)["VersionId"]
        return version

    def test_secret_by_name_version_and_stage(self) -> None:
        first = self.secret("IMGFORGE_QUALITY=41\n")
        client = self.server.client("secretsmanager", "us-west-1")
        client.put_secret_value(SecretId="images/env", SecretString="IMGFORGE_QUALITY=42\n")
        self.assertEqual(self.ask(env_aws_secret_id="images/env"), {"IMGFORGE_QUALITY": "42"})
        self.assertEqual(self.ask(env_aws_secret_version_stage="AWSPREVIOUS"), {"IMGFORGE_QUALITY": "41"})
        self.assertEqual(self.ask(env_aws_secret_version_stage="AWSCURRENT"), {"IMGFORGE_QUALITY": "42"})
        # The stage is then ignored.
        self.assertEqual(self.ask(env_aws_secret_version_id=first), {"IMGFORGE_QUALITY": "41"})

    def test_regions(self) -> None:
        self.secret("IMGFORGE_QUALITY=43\n", "eu-west-3")
        expected = {"IMGFORGE_QUALITY": "43"}
        self.assertEqual(self.ask(env_aws_secret_id="images/env", AWS_DEFAULT_REGION="eu-west-3"), expected)
        del self.environ["AWS_DEFAULT_REGION"]
        self.assertEqual(self.ask(AWS_REGION="eu-west-3"), expected)
        line = self.refusal(env_aws_secret_region="eu-north-1")
        self.assertRegex(line, r"^AWS Secrets Manager cannot be read: ResourceNotFoundException: ")
        self.assertNotIn("operators-secret", line)
        self.assertEqual(self.ask(env_aws_secret_region="eu-west-3", AWS_REGION="eu-north-1"), expected)

    def test_parameters(self) -> None:
        client = self.server.client("ssm", "eu-west-3")
        for name, value, kind in (
            ("/images/prod/IMGFORGE_SECRET", "hush-hush-hush", "SecureString"),
            ("/images/prod/IMGFORGE_QUALITY", "44", "String"),
            ("/images/prod/IMGFORGE_FORMAT/QUALITY", "webp=77", "String"),
            ("/images/staging/IMGFORGE_TTL", "1", "String"),
            *((f"/images/prod/OTHER_{number}", str(number), "String") for number in range(12)),  # more than a page
        ):
            client.put_parameter(Name=name, Value=value, Type=kind)
        values = self.ask(env_aws_ssm_parameters_path="/images/prod", env_aws_ssm_parameters_region="eu-west-3")
        expected = {"SECRET": "hush-hush-hush", "QUALITY": "44", "FORMAT_QUALITY": "webp=77"}
        others = {f"OTHER_{number}": str(number) for number in range(12)}
        self.assertEqual(values, {f"IMGFORGE_{name}": value for name, value in expected.items()} | others)
        self.assertEqual(self.asked.secrets, {"secret"})
        self.assertEqual(self.asked.others, others)

    def test_sources_follow_each_other_and_name_the_next(self) -> None:
        path = self.file("IMGFORGE_QUALITY=3\n")
        self.secret("IMGFORGE_ENV_AWS_SSM_PARAMETERS_PATH=/p\nIMGFORGE_QUALITY=1\nIMGFORGE_TTL=1\nIMGFORGE_TIMEOUT=1\n")
        client = self.server.client("ssm", "us-west-1")
        for name, value in (("QUALITY", "2"), ("TTL", "2"), ("ENV_LOCAL_FILE_PATH", path)):
            client.put_parameter(Name=f"/p/IMGFORGE_{name}", Value=value, Type="String")
        settings = self.load(env_aws_secret_id="images/env")
        self.assertEqual((settings.quality, settings.ttl, settings.timeout), (3, 2, 1))

    def test_values_of_a_store_are_never_shown(self) -> None:
        self.secret(
            "IMGFORGE_BASE_URL=http://hunter2/\nIMGFORGE_TTL=hunter2-hunter2\nIMGFORGE_FALLBACK_IMAGE_PATH=hunter2hunter2"
        )
        settings_mistakes = self.mistakes(env_aws_secret_id="images/env")
        self.assertEqual(len(settings_mistakes), 1)
        self.assertRegex(settings_mistakes[0], r"^IMGFORGE_TTL=\*\*\* in AWS Secrets Manager: must be ")

        def check(settings: Settings, unusable: object) -> list[str]:
            return [f"IMGFORGE_FALLBACK_IMAGE_PATH={settings.fallback_image_path!r} is no image", "other"]

        with self.assertRaises(ConfigurationError) as caught:
            load_settings(None, self.environ, check=check)
        self.assertNotIn("hunter2", str(caught.exception))
        self.assertIn("IMGFORGE_FALLBACK_IMAGE_PATH='***' is no image", caught.exception.lines)
        client = self.server.client("secretsmanager", "us-west-1")
        client.put_secret_value(SecretId="images/env", SecretString="IMGFORGE_BASE_URL=http://hunter2/\n")
        shown = self.load().masked()
        self.assertEqual((shown["base_url"], shown["env_aws_secret_id"]), ("***", "images/env"))

    def test_secret_that_is_no_file_of_variables(self) -> None:
        self.secret('{"IMGFORGE_KEY": "hunter2"}')
        line = "AWS Secrets Manager: the secret: line 1 must be NAME=value"
        self.assertEqual(self.refusal(env_aws_secret_id="images/env"), line)

    def test_store_that_has_nothing(self) -> None:
        self.secret("# nothing yet\n")
        self.assertEqual(
            self.refusal(env_aws_secret_id="images/env"),
            "AWS Secrets Manager: the secret holds no variable: its text must have lines NAME=value",
        )
        del self.environ["IMGFORGE_ENV_AWS_SECRET_ID"]
        place = "the Parameter Store of AWS Systems Manager cannot be read: no parameters below"
        (line,) = self.mistakes(env_aws_ssm_parameters_path="/nothing/here")
        self.assertEqual(line, f"{place} /nothing/here in us-west-1; set IMGFORGE_ENV_AWS_SSM_PARAMETERS_REGION")
        line = self.refusal(env_aws_ssm_parameters_region="eu-west-3")
        self.assertTrue(line.startswith(f"{place} /nothing/here in eu-west-3; check IMGFORGE_ENV_AWS_SSM_"), line)

    def test_store_that_is_away(self) -> None:
        line = self.refusal(env_aws_secret_id="x", AWS_ENDPOINT_URL_SECRETS_MANAGER="http://me:hush@127.0.0.1:1")
        self.assertTrue(line.startswith("AWS Secrets Manager cannot be read: EndpointConnectionError"), line)
        self.assertIn("http://***@127.0.0.1:1", line)


class SecretManager(TokenServer):
    """Google's token endpoint and its Secret Manager: *secrets* by path."""

    def __init__(self, secrets: dict[str, bytes]) -> None:
        self.secrets = secrets
        super().__init__()

    def answer(self, path: str) -> tuple[int, dict[str, object]]:
        if not path.startswith("/v1/"):
            return super().answer(path)
        if self.requests[-1][1].get("authorization", "").removeprefix("Bearer ") not in self.issued:
            return 401, {"error": {"message": "no token", "status": "UNAUTHENTICATED"}}
        secret = self.secrets.get(path)
        if secret is None:
            return 404, {"error": {"message": "Secret not found or has no versions.\n", "status": "NOT_FOUND"}}
        return 200, {"name": path, "payload": {"data": b64encode(secret).decode(), "dataCrc32c": "0"}}


class GcpTests(VariablesCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = SecretManager(
            {"/v1/projects/images-1/secrets/env/versions/latest:access": b"IMGFORGE_QUALITY=51"}
        )
        self.addCleanup(self.server.close)
        self.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"] = f"{self.server.url}/"
        self.key = service_account(f"{self.server.url}/token")
        self.environ |= {"IMGFORGE_ENV_GCP_SECRET_ID": "env", "IMGFORGE_ENV_GCP_SECRET_PROJECT_ID": "images-1"}

    def test_latest_version_with_the_key_of_a_setting(self) -> None:
        settings = self.load(env_gcp_key=self.key)
        self.assertEqual(settings.quality, 51)
        self.assertEqual((settings.masked()["env_gcp_key"], settings.masked()["quality"]), ("***", "***"))

    def test_chosen_version_with_the_key_of_a_file(self) -> None:
        self.server.secrets["/v1/projects/images-1/secrets/env/versions/7:access"] = b"IMGFORGE_QUALITY=57\n"
        path = self.file(self.key, "key.json")
        values = self.ask(env_gcp_secret_version_id="7", GOOGLE_APPLICATION_CREDENTIALS=path)
        self.assertEqual(values, {"IMGFORGE_QUALITY": "57"})

    def test_account_of_the_machine(self) -> None:
        del self.environ["NO_GCE_CHECK"]
        host = self.server.url.removeprefix("http://")
        settings = self.load(GCE_METADATA_HOST=host, GCE_METADATA_IP=host)  # google-auth reads them at its import
        self.assertEqual(settings.quality, 51)

    def test_mistakes_are_one_line_without_the_key(self) -> None:
        place = "Google Cloud Secret Manager cannot be read: "
        line = self.refusal(env_gcp_key=self.key, env_gcp_secret_id="../other")
        self.assertEqual(line, f"{place}it answered 404 Secret not found or has no versions.")
        self.assertEqual(self.server.requests[-1][0], "/v1/projects/images-1/secrets/..%2Fother/versions/latest:access")
        for key in ("hunter2", '{"type": "authorized_user"}', '{"type": "service_account", "private_key": "hunter2"}'):
            line = self.refusal(env_gcp_key=key)
            self.assertEqual(line, f"{place}IMGFORGE_ENV_GCP_KEY must hold the key of a service account as JSON text")
        self.server.secrets["/v1/projects/images-1/secrets/env/versions/latest:access"] = b"\xff"
        line = self.refusal(env_gcp_key=self.key, env_gcp_secret_id="env")
        self.assertEqual(line, f"{place}its answer holds no text")
        self.server.secrets["/v1/projects/images-1/secrets/env/versions/latest:access"] = b""
        self.assertIn("the secret holds no variable", self.refusal())
        self.server.refusal = "account disabled"
        line = self.refusal()
        self.assertIn("account disabled", line)
        self.assertNotIn(json.loads(self.key)["private_key"][40:60], line)
