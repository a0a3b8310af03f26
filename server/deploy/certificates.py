"""An authority of one's own, the certificates that it signs, and the keys of SuperNodes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["LOOPBACK", "make_authority", "make_certificate", "make_node_key", "write_private"]

LOOPBACK = ("localhost", "127.0.0.1")
"""What Flower's own processes call a SuperLink on this machine."""

_AUTHORITY_DAYS = 3650


def make_authority(certificate: Path) -> None:
    """Make an authority: its certificate, and its private key beside it (`.key`)."""
    key = ec.generate_private_key(ec.SECP384R1())
    name = _name("Wearfleet authority")
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    built = (
        _unsigned(name, name, key, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(public, critical=False)
        .sign(key, hashes.SHA384())
    )
    write_private(certificate.with_suffix(".key"), _pem(key))
    _replace(certificate, built.public_bytes(Encoding.PEM), 0o644)


def make_certificate(
    authority: Path, certificate: Path, hosts: Sequence[str], days: int = 365
) -> None:
    """Make a server's certificate and key, in place of those that were there.

    Args:
        authority: certificate of the authority, with its key beside it.
        certificate: where it goes; the private key goes beside it (`.key`).
        hosts: names and addresses of the server.
        days: for which it is good.
    """
    signer = load_pem_private_key(authority.with_suffix(".key").read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError(
            f"{authority.with_suffix('.key')}: not the key of an authority that `wearfleet deploy` "
            "made; make a new fleet, or sign the certificates yourself"
        )
    signed_by = x509.load_pem_x509_certificate(authority.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([_host(host) for host in hosts])
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    built = (
        _unsigned(_name(certificate.stem), signed_by.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(server, critical=False)
        .add_extension(names, critical=False)
        .add_extension(issuer, critical=False)
        .sign(signer, hashes.SHA384())
    )
    write_private(certificate.with_suffix(".key"), _pem(key))
    _replace(certificate, built.public_bytes(Encoding.PEM), 0o644)


def make_node_key(path: Path) -> None:
    """Make a SuperNode's private key and, beside it (`.pub`), the public one.

    Flower takes keys on the curves of NIST alone, in OpenSSH's form.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    write_private(path, private)
    _replace(path.with_name(f"{path.name}.pub"), public + b"\n", 0o644)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read, at no moment."""
    _replace(path, content, 0o600)


def _replace(path: Path, content: bytes, mode: int) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),  # clocks of devices differ
        not_valid_after=now + timedelta(days=days),
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
