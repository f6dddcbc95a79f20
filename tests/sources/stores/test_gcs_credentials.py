"""Tokens of Google, by google-auth, from endpoints on loopback: keys, files, workload identity, metadata server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import GcsSettings
from imgforge.sources.stores.credentials_keeper import CredentialsError
from imgforge.sources.stores.gcs_credentials import needs_token, token_loader
from imgforge.sources.stores.setting_mistakes import StoreMistake
from tests.support.token_server import TokenServer, service_account


class GcsCredentialsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = TokenServer()
        self.addCleanup(self.server.close)
        scratch = TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.environment({})

    def environment(self, variables: dict[str, str]) -> None:
        clean = {"PATH": "/usr/bin", "HOME": str(self.scratch), "NO_GCE_CHECK": "true"}
        patched = patch.dict("os.environ", clean | variables, clear=True)
        patched.start()
        self.addCleanup(patched.stop)

    def file(self, name: str, text: str) -> str:
        path = self.scratch / name
        path.write_text(text)
        return str(path)

    def assert_loads(self, key: str = "") -> None:
        load = token_loader(key)
        for number in range(2):
            loaded = load()
            self.assertEqual(loaded.credentials, f"Bearer token-{number}")
            self.assertApproximates(loaded.seconds, 3600, 60)

    def test_a_key_in_a_setting(self) -> None:
        self.assert_loads(service_account(f"{self.server.url}/token"))

    def test_a_token_that_writes(self) -> None:
        token_loader(service_account(f"{self.server.url}/token"), writes=True)()
        payload = self.server.requests[-1][2]["assertion"][0].split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self.assertEqual(claims["scope"], "https://www.googleapis.com/auth/devstorage.read_write")

    def test_a_key_in_a_file(self) -> None:
        path = self.file("key.json", service_account(f"{self.server.url}/token"))
        self.environment({"GOOGLE_APPLICATION_CREDENTIALS": path})
        self.assert_loads()

    def test_the_metadata_server(self) -> None:
        # In a process of its own: google-auth reads the variable when it is imported.
        program = (
            "from imgforge.sources.stores.gcs_credentials import token_loader; print(token_loader('')().credentials)"
        )
        environment = {"GCE_METADATA_HOST": self.server.host, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("Bearer token-0\n", ""))
        self.assertRegex(self.server.requests[-1][0], "^/computeMetadata/v1/instance/service-accounts/[^/]+/token$")

    def test_workload_identity(self) -> None:
        described = {
            "type": "external_account", "audience": "//iam.googleapis.com/projects/1/pools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": f"{self.server.url}/v1/token",
            "credential_source": {"file": self.file("subject", "subject-token")},
        }  # fmt: skip
        path = self.file("federated.json", json.dumps(described))
        self.environment({"GOOGLE_APPLICATION_CREDENTIALS": path})
        self.assert_loads()
        self.assertEqual(self.server.requests[0][2]["subject_token"], ["subject-token"])

    def test_only_reading_is_asked_for(self) -> None:
        path = self.file("key.json", service_account(f"{self.server.url}/token"))
        self.environment({"GOOGLE_APPLICATION_CREDENTIALS": path})
        token_loader("")()
        (_, _, form) = self.server.requests[0]
        payload = form["assertion"][0].split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self.assertEqual(claims["scope"], "https://www.googleapis.com/auth/devstorage.read_only")

    def test_a_refusal_says_why(self) -> None:
        self.server.refusal = "Invalid grant: account not found"
        with self.assertRaises(CredentialsError) as caught:
            token_loader(service_account(f"{self.server.url}/token"))()
        reason, _, check = str(caught.exception).partition(" (")
        self.assertEqual(reason, "invalid_grant: Invalid grant: account not found")
        self.assertEqual(check, "check IMGFORGE_GCS_KEY or GOOGLE_APPLICATION_CREDENTIALS)")

    def test_broken_keys_are_mistakes_that_quote_nothing_of_them(self) -> None:
        whole = json.loads(service_account(self.server.url))
        for key in (
            "{secret", "[]", '{"type": "authorized_user", "refresh_token": "secret"}', '{"type": "service_account"}',
            json.dumps(whole | {"private_key": "secret"}), json.dumps(whole | {"private_key": 5}),
        ):  # fmt: skip
            with self.assertRaises(StoreMistake) as caught:
                token_loader(key)
            self.assertIn("IMGFORGE_GCS_KEY", str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_who_needs_a_token(self) -> None:
        for settings, needed in (
            (GcsSettings(), True),
            (GcsSettings(endpoint="https://storage.googleapis.com/storage/v1/"), True),
            (GcsSettings(endpoint="https://storage-x.p.googleapis.com"), True),
            (GcsSettings(endpoint="http://localhost:4443/storage/v1/"), False),
            (GcsSettings(endpoint="localhost:4443"), False),
            (GcsSettings(endpoint="http://storage.googleapis.com.evil.example"), False),
            (GcsSettings("{}", "http://localhost:4443"), True),
        ):
            self.assertEqual(needs_token(settings), needed, settings)
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"):
            with patch.dict("os.environ", {name: "x"}):
                self.assertTrue(needs_token(GcsSettings(endpoint="http://localhost:4443")))
