"""Certificates of origins: checked, unless the operator says otherwise."""

from __future__ import annotations

import datetime
import ipaddress
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.ssl import PrivateCertificate

from imgforge.errors import OriginFailed
from tests.sources._origin import Origin, reactor, whole
from tests.sources.test_http import HttpCase


def certificate(name: str) -> bytes:
    """A self-signed certificate for *name* and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imgforge test")])
    now = datetime.datetime.now(datetime.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class TlsTests(HttpCase):
    def secure_origin(self, name: str) -> tuple[str, str]:
        """The URL of an origin under TLS whose certificate is for *name*, and the path of that certificate."""
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        path = Path(scratch.name, "origin.pem")
        path.write_bytes(certificate(name))
        origin = Origin(lambda _: whole(b"sealed"))
        port: Any = reactor.listenSSL(
            0, origin, PrivateCertificate.loadPEM(path.read_bytes()).options(), interface="127.0.0.1"
        )
        self.addCleanup(port.stopListening)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        return f"https://localhost:{port.getHost().port}/a.jpg", str(path)

    async def test_an_unknown_authority_is_refused(self) -> None:
        url, _ = self.secure_origin("localhost")
        with self.assertRaises(OriginFailed):
            await self.sources().fetch(url, None, {})

    async def test_an_authority_can_be_trusted(self) -> None:
        url, path = self.secure_origin("localhost")
        self.assertEqual((await self.sources(ca_file=path).fetch(url, None, {})).body, b"sealed")

    async def test_the_name_must_match(self) -> None:
        url, path = self.secure_origin("other.example")
        with self.assertRaises(OriginFailed):
            await self.sources(ca_file=path).fetch(url, None, {})

    async def test_the_check_can_be_switched_off(self) -> None:
        url, _ = self.secure_origin("other.example")
        got = await self.sources(ignore_ssl_verification=True).fetch(url, None, {})
        self.assertEqual(got.body, b"sealed")
