"""The files of TLS listeners: read once, and every mistake in them is one line at the start."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import DNSName, SubjectAlternativeName
from OpenSSL.crypto import X509
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import BindAddress, parse_bind
from imgforge.service.net.tls import CredentialsError, read_credentials
from tests.support.certificates import certificate


class CredentialsTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)
        self.own = self.file("own.pem", certificate("localhost"))
        self.other = self.file("other.pem", certificate("other"))

    def file(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path

    def address(self, key: Path, certificates: Path | None = None) -> BindAddress:
        text = f"ssl:443:privateKey={key}" + (f":certKey={certificates}" if certificates else "")
        return parse_bind(text)[0]

    def error(self, key: Path, certificates: Path | None = None) -> str:
        with self.assertRaises(CredentialsError) as caught:
            read_credentials(self.address(key, certificates))
        text = str(caught.exception)
        self.assertNotIn("\n", text)
        return text

    def test_key_and_certificate_may_share_a_file(self) -> None:
        options = read_credentials(self.address(self.own)).options()
        self.assertEqual(subject_names(options.certificate), ["localhost"])

    def test_first_certificate_is_the_servers_and_the_others_are_its_chain(self) -> None:
        chain = self.file("chain.pem", certificate_only(self.own) + certificate_only(self.other))
        options = read_credentials(self.address(self.own, chain)).options()
        sent = [subject_names(one) for one in (options.certificate, *options.extraCertChain)]
        self.assertEqual(sent, [["localhost"], ["other"]])

    def test_missing_file_is_named(self) -> None:
        missing = self.directory / "none.pem"
        self.assertEqual(self.error(missing), f"privateKey={missing}: No such file or directory")
        self.assertEqual(self.error(self.own, missing), f"certKey={missing}: No such file or directory")

    def test_certificate_of_another_key_is_rejected(self) -> None:
        self.assertEqual(
            self.error(self.own, self.other), f"certKey={self.other} does not belong to privateKey={self.own}"
        )

    def test_key_with_a_password_is_rejected_without_a_prompt(self) -> None:
        key = serialization.load_pem_private_key(self.own.read_bytes(), None)
        locked = self.file(
            "locked.pem",
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            ),
        )
        self.assertIn("unencrypted", self.error(locked, self.own))

    def test_malformed_pem_is_rejected(self) -> None:
        self.assertIn("is not a PEM file", self.error(self.file("der", b"\x30\x82\xff")))
        self.assertIn("must hold", self.error(self.file("empty", b"")))
        self.assertIn("must hold", self.error(self.own, self.file("text", b"not a certificate\n")))


def certificate_only(path: Path) -> bytes:
    """The certificate in a file that holds its key too."""
    head, end, _ = path.read_bytes().partition(b"-----END CERTIFICATE-----\n")
    return head + end


def subject_names(one: X509 | None) -> list[str]:
    """The host names that a certificate is for; none where there is none."""
    if one is None:
        return []
    extension = one.to_cryptography().extensions.get_extension_for_class(SubjectAlternativeName)
    return extension.value.get_values_for_type(DNSName)
