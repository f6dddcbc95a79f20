"""The credentials of TLS listeners: read once, by the process that starts, and passed on to its workers.

The files are read while that process still has the privileges that it started with, which twistd's --uid may take away
later. An error in one of them ends the start. OpenSSL is imported where there is such a listener.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgforge.config import BindAddress

if TYPE_CHECKING:
    from twisted.internet.ssl import CertificateOptions

__all__ = ["Credentials", "CredentialsError", "read_credentials"]


class CredentialsError(Exception):
    """A private key or a certificate cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A private key and its certificates."""

    key: str  # PEM, unencrypted
    certificates: str  # PEM: the server's own, then the intermediate ones

    def options(self) -> CertificateOptions:
        """As Twisted takes them; `ValueError` or `TypeError` where malformed, OpenSSL's error for a mismatch."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509 import load_pem_x509_certificates
        from OpenSSL.crypto import X509, PKey
        from twisted.internet.ssl import CertificateOptions

        own, *chain = load_pem_x509_certificates(self.certificates.encode())
        options = CertificateOptions(
            # Without a password: OpenSSL would ask for it on the terminal.
            privateKey=PKey.from_cryptography_key(load_pem_private_key(self.key.encode(), None)),  # type: ignore[arg-type]
            certificate=X509.from_cryptography(own),
            extraCertChain=[X509.from_cryptography(one) for one in chain],
        )
        options.getContext()  # compares the key with the certificate
        return options


def read_credentials(address: BindAddress) -> Credentials:
    """Reads the files that an `ssl:` address names; `CredentialsError` where they cannot be used."""
    from OpenSSL.SSL import Error as OpenSSLError

    key_path = address.options["privateKey"]
    certificate_path = address.options.get("certKey", key_path)
    credentials = Credentials(_read("privateKey", key_path), _read("certKey", certificate_path))
    try:
        credentials.options()
    except OpenSSLError:
        raise CredentialsError(f"certKey={certificate_path} does not belong to privateKey={key_path}") from None
    except (ValueError, TypeError):
        raise CredentialsError(
            f"privateKey={key_path} must hold an unencrypted PEM key and certKey={certificate_path} PEM certificates"
        ) from None
    return credentials


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except UnicodeDecodeError:
        raise CredentialsError(f"{name}={path} is not a PEM file") from None
    except OSError as error:
        raise CredentialsError(f"{name}={path}: {os.strerror(error.errno or 0)}") from None
