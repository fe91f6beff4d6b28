"""Signed statements: xAPI 1.0.3 Data 2.6, IEEE 9274.1.1 4.2.6.

A signature is an attachment that holds the statement, as it was before it was signed, as a compact
JWS (RFC 7515). What is checked is that it says the same as the statement, and that it was made
with the key it names. One that was not is refused if the key is that of a certificate, as the
standard demands; a bare key (`jwk`) the standard does not know, and the mismatch is told. Whose key
it is, nobody is asked: certificates are followed from one to the next, but to no root, and none is
looked up (`kid`, `jku` and `x5u` are not read). A certificate out of its dates is told, not
refused: statements are sent, and copied, long after they were made.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from joserfc.jwk import RSAKey
from joserfc.util import base64_to_int, urlsafe_b64decode

from lrs.errors import InvalidStatement, MalformedJSON, Violation
from lrs.xapi import equality, strict_json
from lrs.xapi.timestamps import parse_timestamp
from lrs.xapi.validation import statement_violations
from lrs.xapi.validation_messages import excerpt

Json = dict[str, Any]

USAGE_TYPE = "http://adlnet.gov/expapi/attachments/signature"
REQUIREMENT = "xAPI 1.0.3 Data 2.6, IEEE 9274.1.1 4.2.6"

_HASHES = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "RS512": hashes.SHA512()}
_MOST_BYTES = 1_048_576
_MOST_CERTIFICATES = 10
_MOST_SUBJECT = 1_000
_LEAST_BITS, _MOST_BITS = 2048, 8192
# The time to verify grows with the exponent; the usual one has 17 bits.
_MOST_EXPONENT_BITS = 64
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
# All that a certificate can do to its reader, warnings if they are errors.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, Warning)
# An LRS may cut or round a timestamp to this (xAPI 1.0.3 Data 4.5).
_PRECISION = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known of a signature: that it matches its key, that it does not, or names none.

    `key` is the SHA-256 thumbprint of the certificate (as in `x5t#S256`) or else of the JWK
    (RFC 7638), in base64url; `subject` is the certificate's, `in_force` whether it was at the time.
    """

    status: Literal["verified", "no key", "mismatch"]
    sha2: str
    algorithm: str
    key: str | None
    subject: str | None
    in_force: bool | None = None


def signature_attachments(statement: Json) -> Iterator[tuple[int, Json]]:
    """The attachments of a statement that are signatures, each content once, with its index."""
    seen = set()
    for index, attachment in enumerate(statement.get("attachments", ())):
        if attachment["usageType"] != USAGE_TYPE:
            continue
        if (sha2 := attachment["sha2"].lower()) not in seen:
            seen.add(sha2)
            yield index, attachment


def examine_signature(
    statement: Json, content: bytes, attachment: Json, index: int, now: datetime
) -> Signature:
    """What a signature of a valid statement is worth; `content` are the attachment's bytes.

    Raises InvalidStatement if it is malformed, of another statement, or not of its certificate.
    """
    try:
        return _examine(statement, content, attachment["sha2"].lower(), now)
    except _Refused as refused:
        pointer = f"/attachments/{index}"
        violation = Violation(pointer, str(refused), REQUIREMENT)
        raise InvalidStatement(f"{pointer}: {refused}", violations=[violation]) from None


class _Refused(Exception):
    """The signature does not hold; the message says why."""


@dataclass(frozen=True, slots=True)
class _Key:
    public: RSAPublicKey
    thumbprint: str
    subject: str | None = None
    in_force: bool | None = None


def _examine(statement: Json, content: bytes, sha2: str, now: datetime) -> Signature:
    header, payload, signature = _decoded(content)
    algorithm = _algorithm(header)
    _compare(_object(payload, "payload"), statement)
    key = _key(header, algorithm, now)
    if key is None:
        return Signature("no key", sha2, algorithm, None, None)
    status: Literal["verified", "mismatch"] = "verified"
    signed = content.rpartition(b".")[0]
    try:
        key.public.verify(signature, signed, PKCS1v15(), _HASHES[algorithm])
    except InvalidSignature:
        if "x5c" in header:
            raise _Refused("the signature was not made with the key that it names") from None
        status = "mismatch"
    return Signature(status, sha2, algorithm, key.thumbprint, key.subject, key.in_force)


def _decoded(content: bytes) -> tuple[Json, bytes, bytes]:
    """Header, payload and signature of a compact JWS (RFC 7515 7.1)."""
    if len(content) > _MOST_BYTES:
        raise _Refused(f"the signature has {len(content)} bytes, more than {_MOST_BYTES}")
    segments = content.split(b".", 3)
    if len(segments) != 3 or not all(segments):
        raise _Refused(
            "expected a compact JWS: header, payload and signature, parted by full stops"
        )
    names = ("header", "payload", "signature")
    header, payload, signature = map(_from_base64url, segments, names)
    return _object(header, "header"), payload, signature


def _from_base64url(segment: bytes, name: str) -> bytes:
    try:
        return urlsafe_b64decode(segment)
    except ValueError:
        raise _Refused(f"the {name} of the JWS is not base64url without padding") from None


def _object(text: bytes, name: str) -> Json:
    try:
        value = strict_json.loads(text)
    except MalformedJSON as error:
        raise _Refused(f"the {name} of the JWS cannot be read. {error.detail}") from None
    if not isinstance(value, dict):
        raise _Refused(f"expected a JSON object as {name} of the JWS, found {excerpt(value)}")
    return value


def _algorithm(header: Json) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _HASHES:
        raise _Refused(f"expected the alg RS256, RS384 or RS512, found {excerpt(algorithm)}")
    # Extensions that must be understood (RFC 7515 4.1.11); none is, nor the one of RFC 7797.
    if "crit" in header or header.get("b64", True) is not True:
        raise _Refused("the JWS uses extensions (crit, b64), and none is supported")
    return algorithm


def _compare(signed: Json, statement: Json) -> None:
    """Refuses what was signed unless it says what the statement says."""
    # What 2.0 allows holds all that 1.0.3 does, so that both are read by its rules.
    if violations := statement_violations(signed, "2.0.0"):
        first = violations[0]
        raise _Refused(f"the payload is not a statement: {first.pointer or '/'} {first.detail}")
    paths = [*_changed(signed, statement), *equality.differences(signed, statement)]
    if paths:
        raise _Refused(f"the payload differs from the statement at {', '.join(paths)}")


def _changed(signed: Json, statement: Json) -> Iterator[str]:
    """An LRS adds id and timestamp, but does not change those it gets; equality ignores both."""
    both = signed.keys() & statement.keys()
    if "id" in both and signed["id"].lower() != statement["id"].lower():
        yield "/id"
    if "timestamp" in both:
        then, now = (parse_timestamp(each["timestamp"]) for each in (signed, statement))
        if abs(then - now) >= _PRECISION:
            yield "/timestamp"


def _key(header: Json, algorithm: str, now: datetime) -> _Key | None:
    """The key that the header gives: of its first certificate, or else its JWK."""
    certified = _certified(header["x5c"], now) if "x5c" in header else None
    bare = _bare(header["jwk"], algorithm) if "jwk" in header else None
    if certified and bare and certified.public != bare.public:
        raise _Refused("x5c and jwk are different keys")
    return certified or bare


def _certified(x5c: Any, now: datetime) -> _Key:
    """The key of a chain of certificates, the first of which is the signer's (RFC 7515 4.1.6)."""
    if not isinstance(x5c, list) or not 1 <= len(x5c) <= _MOST_CERTIFICATES:
        raise _Refused(f"expected x5c to be an array of 1 to {_MOST_CERTIFICATES} certificates")
    chain = [_certificate(text, place) for place, text in enumerate(x5c)]
    for place, (certificate, issuer) in enumerate(pairwise(chain)):
        try:
            _expect_quick(issuer.public_key(), f"x5c/{place + 1}")
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, *_UNREADABLE):
            raise _Refused(f"x5c/{place} was not issued by x5c/{place + 1}") from None
    return _of_certificate(chain[0], now)


def _certificate(text: Any, place: int) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except _UNREADABLE:
        raise _Refused(f"x5c/{place} is not a certificate: expected DER in base64") from None


def _of_certificate(certificate: x509.Certificate, now: datetime) -> _Key:
    try:
        public = certificate.public_key()
        subject = certificate.subject.rfc4514_string()[:_MOST_SUBJECT]
        in_force = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    except _UNREADABLE:
        raise _Refused("x5c/0 has a key, a subject or dates that cannot be read") from None
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256()))
    return _Key(_strong(public, "x5c/0"), thumbprint.rstrip(b"=").decode(), subject, in_force)


def _bare(jwk: Any, algorithm: str) -> _Key:
    """The key that is in the header itself (RFC 7515 4.1.3, RFC 7518 6.3.1)."""
    if not isinstance(jwk, dict) or jwk.get("kty") != "RSA":
        raise _Refused(f"expected jwk to be an RSA key, as the alg is {algorithm}")
    if not _PRIVATE.isdisjoint(jwk):
        raise _Refused("jwk is a private key: make a new one, and send its public half only")
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise _Refused(f"jwk is not meant for signatures with {algorithm}")
    try:
        numbers = RSAPublicNumbers(*(base64_to_int(_text(jwk.get(name))) for name in ("e", "n")))
        public = numbers.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Refused("jwk is not an RSA key: n and e must be numbers in base64url") from None
    strong = _strong(public, "jwk")
    return _Key(strong, RSAKey.import_key(strong).thumbprint())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _strong(key: Any, name: str) -> RSAPublicKey:
    """The key, if it is an RSA key of a size that signs something (RFC 7518 3.3)."""
    if not isinstance(key, RSAPublicKey):
        raise _Refused(f"the key of {name} is not an RSA key, which the alg demands")
    if not _LEAST_BITS <= key.key_size <= _MOST_BITS:
        sizes = f"{_LEAST_BITS} to {_MOST_BITS}"
        raise _Refused(f"the key of {name} has {key.key_size} bits; expected {sizes}")
    _expect_quick(key, name)
    return key


def _expect_quick(key: Any, name: str) -> None:
    if not isinstance(key, RSAPublicKey):
        return
    if (bits := key.public_numbers().e.bit_length()) > _MOST_EXPONENT_BITS:
        raise _Refused(
            f"the exponent of {name} has {bits} bits; expected at most {_MOST_EXPONENT_BITS}"
        )
