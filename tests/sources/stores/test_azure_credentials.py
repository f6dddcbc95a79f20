"""Tokens of Azure, by azure-identity, from endpoints on loopback; and clocks that shared keys are signed with."""

from __future__ import annotations

from email.utils import formatdate
from unittest.mock import patch

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import AzureSettings
from imgforge.sources.http import OriginRequest, Refusal
from imgforge.sources.stores.azure_credentials import SharedKey, account_key, token_loader
from imgforge.sources.stores.credentials_keeper import CredentialsError
from imgforge.sources.stores.setting_mistakes import StoreMistake
from tests.support.token_server import TokenServer


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = TokenServer()
        self.addCleanup(self.server.close)

    def environment(self, **variables: str) -> None:
        # Nothing but the managed identity: the chain's developer tools would be looked for on this machine.
        clean = {"PATH": "/usr/bin", "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential"}
        patched = patch.dict("os.environ", clean | variables, clear=True)
        patched.start()
        self.addCleanup(patched.stop)

    def assert_loads(self, path: str) -> None:
        load = token_loader()
        for number in range(2):
            loaded = load()
            self.assertEqual(loaded.credentials, f"Bearer token-{number}")
            self.assertApproximates(loaded.seconds, 3600, 60)
        asked, _, query = self.server.requests[-1]
        self.assertEqual((asked, query["resource"]), (path, ["https://storage.azure.com"]))

    def test_the_identity_of_an_app_service(self) -> None:
        self.environment(IDENTITY_ENDPOINT=f"{self.server.url}/msi/token", IDENTITY_HEADER="code")
        self.assert_loads("/msi/token")
        self.assertEqual(self.server.requests[-1][1]["x-identity-header"], "code")

    def test_the_identity_of_a_virtual_machine(self) -> None:
        self.environment(AZURE_POD_IDENTITY_AUTHORITY_HOST=self.server.url)
        self.assert_loads("/metadata/identity/oauth2/token")
        self.assertEqual(self.server.requests[-1][1]["metadata"], "true")

    def test_a_refusal_says_why(self) -> None:
        self.environment(IDENTITY_ENDPOINT=f"{self.server.url}/msi/token", IDENTITY_HEADER="code")
        self.server.refusal = "no identity here"
        with self.assertRaises(CredentialsError) as caught:
            token_loader()()
        self.assertIn("no identity here", str(caught.exception))


class SharedKeyTests(SynchronousTestCase):
    def refused(self, status: int, code: str, date: str) -> bool:
        refusal = Refusal(OriginRequest("http://x", {"x-ms-date": self.date()}), status, {"date": date}, b"")
        learnt: bool = self.successResultOf(ensureDeferred(self.key.learn_from(refusal, code)))
        return learnt

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.key = SharedKey(self.clock, "account", b"key")

    def date(self) -> str:
        headers: dict[str, str] = {}
        self.successResultOf(ensureDeferred(self.key.authorize("/a", {}, headers)))
        return headers["x-ms-date"]

    def test_the_stores_clock_is_followed(self) -> None:
        self.assertEqual(self.date(), formatdate(1_700_000_000, usegmt=True))
        store = formatdate(1_700_003_600, usegmt=True)
        self.assertTrue(self.refused(403, "AuthenticationFailed", store))
        self.assertEqual(self.date(), store)
        # Refused again: the clock was not the cause.
        self.assertFalse(self.refused(403, "AuthenticationFailed", store))
        self.clock.advance(10)
        self.assertEqual(self.date(), formatdate(1_700_003_610, usegmt=True))
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_other_refusals_say_nothing_of_the_clock(self) -> None:
        far = formatdate(1_700_003_600, usegmt=True)
        self.assertFalse(self.refused(403, "AuthorizationPermissionMismatch", far))
        self.assertFalse(self.refused(404, "AuthenticationFailed", far))
        for date in ("", "yesterday", "Fri, 32 Jan 2023 99:99:99 GMT", formatdate(1_700_000_050, usegmt=True)):
            self.assertFalse(self.refused(403, "AuthenticationFailed", date), date)

    def test_unusable_keys_are_mistakes_that_quote_nothing_of_them(self) -> None:
        for settings, words in (
            (AzureSettings("account", "s3cr3t!"), "IMGFORGE_ABS_KEY must be the account's key in base64"),
            (AzureSettings("account", "é"), "IMGFORGE_ABS_KEY must be the account's key in base64"),
            (AzureSettings("", "c2VjcmV0"), "IMGFORGE_ABS_KEY needs IMGFORGE_ABS_NAME"),
        ):
            with self.assertRaises(StoreMistake) as caught:
                account_key(settings)
            self.assertIn(words, str(caught.exception))
