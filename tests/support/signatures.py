"""Keys, certificates and JWS for signed statements."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey

from lrs.xapi.signatures import USAGE_TYPE
from tests.support.statements import statement

Json = dict[str, Any]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

HASHES = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "RS512": hashes.SHA512()}


def attachment(signature: bytes, **members: Any) -> Json:
    return {
        "usageType": USAGE_TYPE,
        "display": {"en-US": "Signature"},
        "contentType": "application/octet-stream",
        "length": len(signature),
        "sha2": hashlib.sha256(signature).hexdigest(),
    } | members


STATEMENT = statement(
    id="8f6c1a3e-1b1f-4c5e-9d0a-7b1e6f1c2d3e",
    timestamp="2024-05-01T12:00:00.123Z",
    result={"score": {"scaled": 0.5}, "duration": "PT1M2.34S"},
)


@cache
def rsa_key(name: str = "signer", bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_public(key: PrivateKey, exponent: int) -> rsa.RSAPublicKey:
    """The same modulus with another exponent, without a private key."""
    assert isinstance(key, rsa.RSAPrivateKey)
    return rsa.RSAPublicNumbers(exponent, key.public_key().public_numbers().n).public_key()


def large_rsa_public(bits: int) -> rsa.RSAPublicKey:
    """A public key without a private one, which takes long to generate."""
    return rsa.RSAPublicNumbers(65537, 2 ** (bits - 1) + 1).public_key()


def certificate(
    key: PrivateKey,
    name: str = "signer",
    issuer: tuple[str, PrivateKey] | None = None,
    *,
    years: int = 10,
    exponent: int | None = None,
    public: dsa.DSAPublicKey | rsa.RSAPublicKey | None = None,
) -> bytes:
    """A certificate in DER, valid from 2024, self-signed unless `issuer` is set.

    `public` is the key in the certificate instead of the public one of `key`.
    """

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    issuer_name, issuer_key = issuer or (name, key)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer_name))
        .public_key(public or (rsa_public(key, exponent) if exponent else key.public_key()))
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * years))
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER)


def x5c(*certificates: bytes) -> list[str]:
    return [base64.b64encode(item).decode() for item in certificates]


def jwk(key: rsa.RSAPrivateKey) -> Json:
    return RSAKey.import_key(key.public_key()).as_dict()


def base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def rs(algorithm: str, key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    return lambda signed: key.sign(signed, padding.PKCS1v15(), HASHES[algorithm])


def jws(
    payload: Any = STATEMENT,
    *,
    key: rsa.RSAPrivateKey | None = None,
    sign: Callable[[bytes], bytes] | None = None,
    **header: Any,
) -> bytes:
    """A compact JWS, built by hand so that any part can be invalid."""
    header = {"alg": "RS256"} | header
    sign = sign or rs(header["alg"], key or rsa_key())
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = base64url(json.dumps(header).encode()) + b"." + base64url(text)
    return signed + b"." + base64url(sign(signed))
