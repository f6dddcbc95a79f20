"""The causes of failed requests, as operators search for them."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError, TimeoutError  # noqa: A004
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from imgforge.sources.http.failure_causes import cause_of


class CauseTests(SynchronousTestCase):
    def test_a_cause_begins_with_its_kind(self) -> None:
        errors: tuple[tuple[BaseException, str], ...] = (
            (DNSLookupError("no results for hostname lookup: x"), "DNS: "),
            (ConnectionRefusedError(), "connection refused: "),
            (TimeoutError(), "timeout: "),
            (SSL.Error([("SSL routines", "", "certificate verify failed")]), "TLS: "),
            (VerificationError(errors=[]), "TLS: "),
            (ConnectionLost(), "Connection to the other side was lost"),
        )
        for error, cause in errors:
            for wrapped in (error, ResponseNeverReceived([Failure(error)])):
                self.assertTrue(cause_of(wrapped).startswith(cause), cause_of(wrapped))

    def test_an_error_without_text_has_its_class_name(self) -> None:
        self.assertEqual(cause_of(ValueError()), "ValueError")
