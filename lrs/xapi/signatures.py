"""Signed statements: xAPI 1.0.3 Data 2.6, IEEE 9274.1.1 4.2.6.

A signature is an attachment with a compact JWS (RFC 7515) whose payload is the statement as it was
before signing. The payload must equal the statement, and the signature is verified:

- with a certificate (`x5c`), an invalid signature is refused, as the standard requires;
- with a `jwk`, which the standard does not define, the status becomes `mismatch`;
- with neither, the status is `no key`.

Trust is not evaluated: a certificate chain is verified link by link, but against no root, and no
key is fetched (`kid`, `jku` and `x5u` are ignored). An expired certificate is accepted:
statements are sent and copied long after they were signed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from joserfc.jwk import RSAKey
from joserfc.util import base64_to_int, urlsafe_b64decode

from lrs.errors import InvalidStatement, MalformedJSON, Violation
from lrs.xapi import equality, requirements, strict_json
from lrs.xapi.timestamps import parse_timestamp
from lrs.xapi.validation import Version, statement_violations
from lrs.xapi.validation_messages import excerpt

Json = dict[str, Any]

USAGE_TYPE = "http://adlnet.gov/expapi/attachments/signature"

_HASHES = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "RS512": hashes.SHA512()}
MAX_PER_STATEMENT = 5
MAX_PER_REQUEST = 25
MAX_BYTES_PER_REQUEST = 4_194_304
"""Of the signatures of all statements of a request; a repeated one counts again."""

_MAX_BYTES = 1_048_576
_MAX_CERTIFICATES = 10
_MAX_CERTIFICATE_BYTES = 16_384
_MAX_SUBJECT_LENGTH = 1_000
_MIN_KEY_BITS, _MAX_KEY_BITS = 2048, 4096
# Verification time grows with the exponent; the common one, 65537, has 17 bits.
_MAX_EXPONENT_BITS = 64
_FAST_KEYS = (EllipticCurvePublicKey, Ed25519PublicKey, Ed448PublicKey)
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
# What cryptography raises for malformed certificates, including warnings turned into errors.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, Warning)
# An LRS may truncate or round timestamps to milliseconds (xAPI 1.0.3 Data 4.5).
_PRECISION = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Signature:
    """The result of a verification.

    `key` is the SHA-256 thumbprint of the certificate (as in `x5t#S256`) or of the JWK (RFC 7638),
    in base64url. `subject` is that of the certificate.
    """

    status: Literal["verified", "no key", "mismatch"]
    sha2: str
    algorithm: str
    key: str | None
    subject: str | None


def signature_attachments(statement: Json) -> Iterator[tuple[int, Json]]:
    """The signature attachments of a statement with their indexes, without repeated contents."""
    seen = set()
    for index, attachment in enumerate(statement.get("attachments", ())):
        if attachment["usageType"] != USAGE_TYPE:
            continue
        if (sha2 := attachment["sha2"].lower()) not in seen:
            seen.add(sha2)
            yield index, attachment


def check_number(statement: Json, version: Version = "1.0.3") -> list[Violation]:
    """The violation of a statement with more signatures than an LRS should verify."""
    present = list(signature_attachments(statement))
    if len(present) <= MAX_PER_STATEMENT:
        return []
    pointer = f"/attachments/{present[MAX_PER_STATEMENT][0]}"
    detail = f"expected at most {MAX_PER_STATEMENT} signatures, found {len(present)}"
    return [Violation(pointer, detail, requirements.SIGNATURE[version])]


def examine_signature(
    statement: Json, content: bytes, attachment: Json, index: int, version: Version = "1.0.3"
) -> Signature:
    """Verifies a signature of a valid statement; `content` are the bytes of the attachment.

    Raises InvalidStatement if the signature is malformed, has another payload, or does not verify
    with its certificate.
    """
    try:
        return _examine(statement, content, attachment["sha2"].lower())
    except _InvalidSignature as error:
        pointer = f"/attachments/{index}"
        violation = Violation(pointer, str(error), requirements.SIGNATURE[version])
        raise InvalidStatement(f"{pointer}: {error}", violations=[violation]) from None


class _InvalidSignature(Exception):
    """The message is the detail of the violation."""


@dataclass(frozen=True, slots=True)
class _Key:
    public: RSAPublicKey
    thumbprint: str
    subject: str | None = None


def _examine(statement: Json, content: bytes, sha2: str) -> Signature:
    header, payload, signature = _decoded(content)
    algorithm = _algorithm(header)
    _compare(_object(payload, "payload"), statement)
    key = _key(header, algorithm)
    if key is None:
        return Signature("no key", sha2, algorithm, None, None)
    status: Literal["verified", "mismatch"] = "verified"
    signed = content.rpartition(b".")[0]
    try:
        key.public.verify(signature, signed, PKCS1v15(), _HASHES[algorithm])
    except InvalidSignature:
        if "x5c" in header:
            raise _InvalidSignature("the signature does not verify with the key in x5c") from None
        status = "mismatch"
    return Signature(status, sha2, algorithm, key.thumbprint, key.subject)


def _decoded(content: bytes) -> tuple[Json, bytes, bytes]:
    """Header, payload and signature of a compact JWS (RFC 7515 7.1)."""
    if len(content) > _MAX_BYTES:
        raise _InvalidSignature(f"the signature has {len(content)} bytes, more than {_MAX_BYTES}")
    segments = content.split(b".", 3)
    if len(segments) != 3 or not all(segments):
        raise _InvalidSignature(
            "expected a compact JWS: header, payload and signature, separated by full stops"
        )
    names = ("header", "payload", "signature")
    header, payload, signature = map(_from_base64url, segments, names)
    return _object(header, "header"), payload, signature


def _from_base64url(segment: bytes, name: str) -> bytes:
    try:
        return urlsafe_b64decode(segment)
    except ValueError:
        raise _InvalidSignature(f"the {name} of the JWS is not base64url without padding") from None


def _object(text: bytes, name: str) -> Json:
    try:
        value = strict_json.loads(text)
    except MalformedJSON as error:
        raise _InvalidSignature(f"the {name} of the JWS is not JSON. {error.detail}") from None
    if not isinstance(value, dict):
        raise _InvalidSignature(
            f"expected a JSON object as {name} of the JWS, found {excerpt(value)}"
        )
    return value


def _algorithm(header: Json) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _HASHES:
        raise _InvalidSignature(
            f"expected the alg RS256, RS384 or RS512, found {excerpt(algorithm)}"
        )
    # Critical extensions (RFC 7515 4.1.11) and unencoded payloads (RFC 7797) are not supported.
    if "crit" in header or header.get("b64", True) is not True:
        raise _InvalidSignature("the JWS uses extensions (crit, b64), which are not supported")
    return algorithm


def _compare(signed: Json, statement: Json) -> None:
    """Checks that the payload equals the statement."""
    # Every statement that is valid in 1.0.3 is valid in 2.0.
    if violations := statement_violations(signed, "2.0.0"):
        first = violations[0]
        raise _InvalidSignature(
            f"the payload is not a statement: {first.pointer or '/'} {first.detail}"
        )
    paths = [*_changed(signed, statement), *equality.differences(signed, statement)]
    if paths:
        raise _InvalidSignature(f"the payload differs from the statement at {', '.join(paths)}")


def _changed(signed: Json, statement: Json) -> Iterator[str]:
    """The pointers of a changed id or timestamp, which equality ignores."""
    both = signed.keys() & statement.keys()
    if "id" in both and signed["id"].lower() != statement["id"].lower():
        yield "/id"
    if "timestamp" in both:
        first, second = (parse_timestamp(item["timestamp"]) for item in (signed, statement))
        if abs(first - second) >= _PRECISION:
            yield "/timestamp"


def _key(header: Json, algorithm: str) -> _Key | None:
    """The key in the header: of the first certificate, or of the JWK; None without either."""
    from_certificate = _certificate_key(header["x5c"]) if "x5c" in header else None
    from_jwk = _jwk_key(header["jwk"], algorithm) if "jwk" in header else None
    if from_certificate and from_jwk and from_certificate.public != from_jwk.public:
        raise _InvalidSignature("x5c and jwk are different keys")
    return from_certificate or from_jwk


def _certificate_key(x5c: Any) -> _Key:
    """The key of a certificate chain; the signer's certificate comes first (RFC 7515 4.1.6)."""
    if not isinstance(x5c, list) or not 1 <= len(x5c) <= _MAX_CERTIFICATES:
        raise _InvalidSignature(
            f"expected x5c to be an array of 1 to {_MAX_CERTIFICATES} certificates"
        )
    chain = [_certificate(text, index) for index, text in enumerate(x5c)]
    for index, issuer in enumerate(chain[1:], 1):
        _require_accepted_size(_public_key(issuer, index), f"x5c/{index}")
    for index, (certificate, issuer) in enumerate(pairwise(chain)):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, *_UNREADABLE):
            raise _InvalidSignature(f"x5c/{index} was not issued by x5c/{index + 1}") from None
    return _read_certificate(chain[0])


def _certificate(text: Any, index: int) -> x509.Certificate:
    # Base64 has four characters for three bytes.
    if isinstance(text, str) and len(text) > _MAX_CERTIFICATE_BYTES * 4 // 3 + 4:
        raise _InvalidSignature(
            f"x5c/{index} has about {len(text) * 3 // 4} bytes; "
            f"expected at most {_MAX_CERTIFICATE_BYTES}"
        )
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except _UNREADABLE:
        raise _InvalidSignature(
            f"x5c/{index} is not a certificate: expected DER in base64"
        ) from None


def _public_key(certificate: x509.Certificate, index: int) -> Any:
    try:
        return certificate.public_key()
    except _UNREADABLE:
        raise _InvalidSignature(f"x5c/{index} has a key that cannot be read") from None


def _read_certificate(certificate: x509.Certificate) -> _Key:
    public = _public_key(certificate, 0)
    try:
        subject = certificate.subject.rfc4514_string()[:_MAX_SUBJECT_LENGTH]
    except _UNREADABLE:
        raise _InvalidSignature("x5c/0 has a subject that cannot be read") from None
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256()))
    return _Key(_require_rsa(public, "x5c/0"), thumbprint.rstrip(b"=").decode(), subject)


def _jwk_key(jwk: Any, algorithm: str) -> _Key:
    """The key of a JWK in the header (RFC 7515 4.1.3, RFC 7518 6.3.1)."""
    if not isinstance(jwk, dict) or jwk.get("kty") != "RSA":
        raise _InvalidSignature(f"expected jwk to be an RSA key, as the alg is {algorithm}")
    if not _PRIVATE.isdisjoint(jwk):
        raise _InvalidSignature("jwk is a private key: revoke it, and send a public key")
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise _InvalidSignature(f"jwk is not meant for signatures with {algorithm}")
    try:
        numbers = RSAPublicNumbers(*(base64_to_int(_text(jwk.get(name))) for name in ("e", "n")))
        public = numbers.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _InvalidSignature(
            "jwk is not an RSA key: n and e must be numbers in base64url"
        ) from None
    key = _require_rsa(public, "jwk")
    return _Key(key, RSAKey.import_key(key).thumbprint())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _require_rsa(key: Any, name: str) -> RSAPublicKey:
    """The key, if it is an RSA key of an accepted size (RFC 7518 3.3)."""
    if not isinstance(key, RSAPublicKey):
        raise _InvalidSignature(f"the key of {name} is not an RSA key, which the alg requires")
    if key.key_size < _MIN_KEY_BITS:
        raise _InvalidSignature(
            f"the key of {name} has {key.key_size} bits; "
            f"expected {_MIN_KEY_BITS} to {_MAX_KEY_BITS}"
        )
    _require_accepted_size(key, name)
    return key


def _require_accepted_size(key: Any, name: str) -> None:
    """Checks that a signature is verified with the key within about a millisecond."""
    if isinstance(key, _FAST_KEYS):
        return
    if not isinstance(key, RSAPublicKey):
        raise _InvalidSignature(f"the key of {name} is not an RSA, EC or EdDSA key")
    if key.key_size > _MAX_KEY_BITS:
        raise _InvalidSignature(
            f"the key of {name} has {key.key_size} bits; expected at most {_MAX_KEY_BITS}"
        )
    if (bits := key.public_numbers().e.bit_length()) > _MAX_EXPONENT_BITS:
        raise _InvalidSignature(
            f"the exponent of {name} has {bits} bits; expected at most {_MAX_EXPONENT_BITS}"
        )
