# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for the run: ECDSA P-256 throughout."""
import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _write_key(path, key):
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)


def _write_certificate(path, *certificates):
    with open(path, "wb") as out:
        for certificate in certificates:
            out.write(certificate.public_bytes(serialization.Encoding.PEM))


class Authority:
    """Makes ca.pem in the directory, and certificates below it."""

    def __init__(self, directory):
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system test authority")])
        self.certificate = self._sign(
            self.name,
            self.key.public_key(),
            [
                (x509.BasicConstraints(ca=True, path_length=0), True),
                (
                    x509.KeyUsage(
                        False, False, False, False, False, True, True, False, False
                    ),
                    True,
                ),
            ],
        )
        self.ca_file = os.path.join(directory, "ca.pem")
        _write_certificate(self.ca_file, self.certificate)

    def _sign(self, name, public_key, extensions):
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, file_name, common_name, server):
        """Writes FILE.pem and FILE.key; a server's also as FILE.bundle (key, certificate)."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        extensions = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([usage]), False),
        ]
        if server:
            names = [
                x509.DNSName("localhost"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            ]
            extensions.append((x509.SubjectAlternativeName(names), False))
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system tests"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        certificate = self._sign(subject, key.public_key(), extensions)
        path = os.path.join(self.directory, file_name)
        _write_certificate(path + ".pem", certificate)
        _write_key(path + ".key", key)
        return path + ".pem", path + ".key"
