"""What an encrypted engine on loopback needs: certificates, and the files of whoever asks it."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.engines import LyingEngine

_NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
TOKEN = "a-token.of_ours~1+/=="
"""A bearer token."""


class Authority:
    """Signs certificates; each is made with its key beside it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.path = self._written(name, self._made(self._name, self._key, _NOW + DAY, ca=True))

    def issue(self, name: str, *, host: str = "127.0.0.1", ends: datetime.timedelta = DAY) -> Path:
        """Return the path of a certificate; its key has the same name, with `.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = self._made(subject, key, _NOW + ends, host=host)
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path = self._written(name, made)
        path.with_suffix(".key").write_bytes(key.private_bytes(*form, serialization.NoEncryption()))
        path.with_suffix(".key").chmod(0o600)
        return path

    def _made(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        ends: datetime.datetime,
        *,
        ca: bool = False,
        host: str = "",
    ) -> x509.Certificate:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - 30 * DAY)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            is_number = host[0].isdigit()
            named = x509.IPAddress(ipaddress.ip_address(host)) if is_number else x509.DNSName(host)
            made = made.add_extension(x509.SubjectAlternativeName([named]), critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _written(self, name: str, made: x509.Certificate) -> Path:
        path = self._folder / f"{name}.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return path


class EngineFiles:
    """What whoever builds has of an engine: its files, and the variables that name them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder, "authority")
        self.served = self.authority.issue("served")
        self.own = self.authority.issue("own")
        self.token = folder / "token"
        self.token.write_text(f"{TOKEN}\n")
        self.token.chmod(0o600)

    def credentials(
        self, certificate: Path | None = None, *, wants_own: bool = False
    ) -> grpc.ServerCredentials:
        """Return those of an engine; it may want a certificate of who asks."""
        path = certificate or self.served
        pair = path.with_suffix(".key").read_bytes(), path.read_bytes()
        ca = self.authority.path.read_bytes() if wants_own else None
        return grpc.ssl_server_credentials([pair], ca, require_client_auth=wants_own)

    def variables(self, engine: LyingEngine, **others: Path | str) -> dict[str, str]:
        """Return what is right, but for others by the ends of their names; empty: leave it out."""
        told: dict[str, Path | str] = {
            "CA": self.authority.path,
            "TOKEN_FILE": self.token,
            "CERT": self.own,
            "KEY": self.own.with_suffix(".key"),
            **others,
        }
        named = {f"BUILDPERM_REMOTE_{name}": str(value) for name, value in told.items() if value}
        return {"BUILDPERM_REMOTE": f"grpcs://127.0.0.1:{engine.port}/main", **named}
