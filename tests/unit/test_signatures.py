"""Verification of statement signatures, and forged signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from lrs.errors import InvalidStatement
from lrs.xapi.signatures import (
    USAGE_TYPE,
    Signature,
    check_number,
    examine_signature,
    signature_attachments,
)
from tests.support.signatures import (
    STATEMENT,
    base64url,
    certificate,
    ec_key,
    jwk,
    jws,
    large_rsa_public,
    rs,
    rsa_key,
    rsa_public,
    x5c,
)
from tests.support.statements import statement

Json = dict[str, Any]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

HASHES = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "RS512": hashes.SHA512()}


# Keys


def verify(content: bytes, received: Json = STATEMENT) -> Signature:
    sha2 = hashlib.sha256(content).hexdigest()
    attachment = {"usageType": USAGE_TYPE, "sha2": sha2.upper()}
    received = received | {"attachments": [{"usageType": "http://example.com/other"}, attachment]}
    [(index, result)] = signature_attachments(received)
    return examine_signature(received, content, result, index)


def refusal(content: bytes, received: Json = STATEMENT) -> str:
    with pytest.raises(InvalidStatement) as caught:
        verify(content, received)
    [violation] = caught.value.violations
    assert violation.pointer == "/attachments/1"
    assert "2.6" in violation.requirement
    assert violation.detail in caught.value.detail
    return violation.detail


# Verification


@pytest.mark.parametrize("algorithm", HASHES)
def test_signature_is_verified_with_its_certificate(algorithm: str) -> None:
    der = certificate(rsa_key())
    content = jws(alg=algorithm, x5c=x5c(der))
    thumbprint = base64url(hashlib.sha256(der).digest()).decode()
    sha2 = hashlib.sha256(content).hexdigest()
    expected = Signature("verified", sha2, algorithm, thumbprint, "CN=signer")
    assert verify(content) == expected


def test_signature_is_verified_with_its_jwk() -> None:
    result = verify(jws(jwk=jwk(rsa_key()) | {"alg": "RS256", "use": "sig", "kid": "1"}))
    thumbprint = RSAKey.import_key(rsa_key()).thumbprint()
    assert (result.status, result.key, result.subject) == ("verified", thumbprint, None)


@pytest.mark.parametrize("algorithm", HASHES)
def test_signature_without_key_has_status_no_key(algorithm: str) -> None:
    """ADL's conformance suite sends them."""
    result = verify(jws(alg=algorithm, kid="1", jku="https://example.com", typ="JWT"))
    assert (result.status, result.algorithm, result.key) == ("no key", algorithm, None)


def test_certificate_chain_is_verified() -> None:
    middle = certificate(ec_key(), "middle", ("root", rsa_key("root")))
    root = certificate(rsa_key("root"), "root")
    signer = certificate(rsa_key(), "signer", ("middle", ec_key()))
    assert verify(jws(x5c=x5c(signer, middle, root))).subject == "CN=signer"
    assert "x5c/0 was not issued by x5c/1" in refusal(jws(x5c=x5c(signer, root)))
    other = certificate(rsa_key("other"), "root")
    assert "x5c/1 was not issued by x5c/2" in refusal(jws(x5c=x5c(signer, middle, other)))


def test_key_with_slow_verification_is_refused() -> None:
    """One request can hold a thousand signatures with ten certificates each."""
    slow, signer = 2**2000 + 1, certificate(rsa_key())
    expected = "exponent of {} has 2001 bits; expected at most 64"
    bare = RSAKey.import_key(rsa_public(rsa_key(), slow)).as_dict()
    assert expected.format("jwk") in refusal(jws(jwk=bare))
    alone = certificate(rsa_key(), exponent=slow)
    assert expected.format("x5c/0") in refusal(jws(x5c=x5c(alone)))
    issuer = certificate(rsa_key("middle"), "middle", exponent=slow)
    assert expected.format("x5c/1") in refusal(jws(x5c=x5c(signer, issuer)))


@pytest.mark.parametrize("position", range(3))
def test_certificate_with_a_large_key_is_refused(position: int) -> None:
    """Of any certificate of a chain: verification takes 44 ms with 16,384 bits."""
    chain = [
        certificate(
            rsa_key(),
            name,
            (issuer, rsa_key()),
            public=large_rsa_public(4_104) if index == position else None,
        )
        for index, (name, issuer) in enumerate(pairwise(["signer", "middle", "root", "root"]))
    ]
    expected = f"x5c/{position} has 4104 bits; expected at most 4096"
    assert expected in refusal(jws(x5c=x5c(*chain)))


def test_jwk_with_a_large_key_is_refused() -> None:
    bare = RSAKey.import_key(large_rsa_public(4_104)).as_dict()
    assert "jwk has 4104 bits; expected at most 4096" in refusal(jws(jwk=bare))


def test_issuer_with_a_dsa_key_is_refused() -> None:
    public = dsa.generate_private_key(1024).public_key()
    issuer = certificate(rsa_key("root"), "root", public=public)
    signer = certificate(rsa_key(), "signer", ("root", rsa_key("root")))
    expected = "the key of x5c/1 is not an RSA, EC or EdDSA key"
    assert expected in refusal(jws(x5c=x5c(signer, issuer)))


def test_large_certificate_is_refused() -> None:
    chain = [*x5c(certificate(rsa_key())), "A" * 22_000]
    expected = "x5c/1 has about 16500 bytes; expected at most 16384"
    assert expected in refusal(jws(x5c=chain))


def test_sixth_signature_of_a_statement_is_refused() -> None:
    attachments = [{"usageType": USAGE_TYPE, "sha2": f"{number:064}"} for number in range(7)]
    attachments.insert(2, {"usageType": "http://example.com/other", "sha2": "f" * 64})
    [violation] = check_number({"attachments": attachments})
    assert violation.pointer == "/attachments/6"
    assert violation.detail == "expected at most 5 signatures, found 7"
    assert check_number({"attachments": attachments[:6]}) == []


def test_expired_certificate_is_accepted() -> None:
    result = verify(jws(x5c=x5c(certificate(rsa_key(), years=1))))
    assert result.status == "verified"


def test_different_certificate_and_jwk_are_refused() -> None:
    chain = x5c(certificate(rsa_key()))
    assert verify(jws(x5c=chain, jwk=jwk(rsa_key()))).subject == "CN=signer"
    assert "different keys" in refusal(jws(x5c=chain, jwk=jwk(rsa_key("other"))))


# Payload and statement


@pytest.mark.parametrize(
    "received",
    [
        STATEMENT | {"result": {"score": {"scaled": 0.50}, "duration": "PT1M2.349S"}},
        STATEMENT | {"id": STATEMENT["id"].upper(), "timestamp": "2024-05-01T14:00:00.1231+02:00"},
        STATEMENT | {"authority": {"mbox": "mailto:a@example.com"}, "version": "1.0.0"},
        {key: value for key, value in STATEMENT.items() if key not in ("id", "timestamp")},
    ],
)
def test_members_set_by_the_lrs_are_ignored(received: Json) -> None:
    assert verify(jws(), received).status == "no key"


def test_payload_without_id_matches_a_statement_with_id() -> None:
    assert verify(jws(statement()), statement(id=STATEMENT["id"])).status == "no key"


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        ({"verb": {"id": "http://example.com/failed"}}, "/verb/id"),
        ({"actor": {"mbox": "mailto:eve@example.com"}}, "/actor/mbox"),
        ({"result": {"score": {"scaled": 1}, "duration": "PT1M2.35S"}},
         "/result/duration, /result/score/scaled"),
        ({"context": {}}, "/context"),
        ({"id": "8f6c1a3e-1b1f-4c5e-9d0a-7b1e6f1c2d3f"}, "/id"),
        ({"timestamp": "2024-05-01T12:00:01.123Z"}, "/timestamp"),
    ],
)  # fmt: skip
def test_difference_from_the_payload_is_refused_with_its_path(changed: Json, paths: str) -> None:
    content = jws(x5c=x5c(certificate(rsa_key())))
    expected = f"the payload differs from the statement at {paths}"
    assert refusal(content, STATEMENT | changed) == expected


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"", "expected a compact JWS"),
        (b"{'actor': 1}", "payload of the JWS is not JSON"),
        (b"\xff", "payload of the JWS is not JSON"),
        (b'{"a": NaN}', "payload of the JWS is not JSON"),
        (b'{"a": 1, "a": 1}', "payload of the JWS is not JSON"),
        (b"[" * 100_000, "payload of the JWS is not JSON"),
        ([STATEMENT], "expected a JSON object as payload of the JWS, found an array"),
        ({}, "the payload is not a statement"),
        (STATEMENT | {"verb": "x"}, "the payload is not a statement: /verb"),
        (STATEMENT | {"extra": 1}, "the payload is not a statement: /extra"),
    ],
)
def test_payload_that_is_no_statement_is_refused(payload: Any, named: str) -> None:
    assert named in refusal(jws(payload))


# Forgeries


def spki(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certified() -> Json:
    return {"x5c": x5c(certificate(rsa_key()))}


def forgeries(**header: Any) -> list[bytes]:
    """A signature by another key, and signatures with a changed payload, signature or algorithm."""
    head, payload, signature = jws(**header).split(b".")
    same = base64url(json.dumps(STATEMENT, indent=1).encode())
    half = base64url(base64.urlsafe_b64decode(signature + b"==")[:128])
    changed = [(head, same, signature), (head, payload, half), (head, payload, b"AA")]
    return [
        jws(key=rsa_key("other"), **header),
        *map(b".".join, changed),
        jws(alg="RS512", sign=rs("RS256", rsa_key()), **header),
    ]


def test_forgery_with_certificate_is_refused() -> None:
    for forged in forgeries(**certified()):
        assert "does not verify with the key" in refusal(forged)


def test_forgery_with_bare_key_has_status_mismatch() -> None:
    for forged in forgeries(jwk=jwk(rsa_key())):
        result = verify(forged)
        assert (result.status, bool(result.key), result.subject) == ("mismatch", True, None)


@pytest.mark.parametrize(
    "algorithm",
    ["none", "HS256", "PS256", "ES256", "EdDSA", "rs256", "RS1", "", None, 1, ["RS256"]],
)
def test_other_algorithm_than_rsa_with_sha2_is_refused(algorithm: Any) -> None:
    def hmac_with_the_public_key(signed: bytes) -> bytes:
        return hmac.digest(spki(rsa_key()), signed, "sha256")

    content = jws(alg=algorithm, jwk=jwk(rsa_key()), sign=hmac_with_the_public_key)
    assert "expected the alg RS256, RS384 or RS512" in refusal(content)


def test_unsigned_payload_is_refused() -> None:
    content = jws(alg="none", sign=lambda _: b"")
    assert "expected a compact JWS" in refusal(content)
    assert "expected the alg" in refusal(content + b"AA")


def test_key_of_another_type_is_refused() -> None:
    def es256(signed: bytes) -> bytes:
        return ec_key().sign(signed, ec.ECDSA(hashes.SHA256()))

    content = jws(x5c=x5c(certificate(ec_key())), sign=es256)
    assert "x5c/0 is not an RSA key" in refusal(content)
    assert "RSA key" in refusal(jws(jwk={"kty": "oct", "k": "AAAA"}))


def test_small_key_is_refused() -> None:
    small = rsa_key(bits=1024)
    assert "x5c/0 has 1024 bits" in refusal(jws(key=small, x5c=x5c(certificate(small))))
    numbers = small.public_key().public_numbers()
    n = base64url(numbers.n.to_bytes(128, "big")).decode()
    assert "jwk has 1024 bits" in refusal(jws(key=small, jwk={"kty": "RSA", "n": n, "e": "AQAB"}))


def test_large_key_is_refused() -> None:
    n = base64url(b"\xff" * 500_000).decode()
    assert "jwk has 4000000 bits" in refusal(jws(jwk={"kty": "RSA", "n": n, "e": "AQAB"}))


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ({"crit": ["exp"]}, "extensions"),
        ({"b64": False}, "extensions"),
        ({"b64": False, "crit": ["b64"]}, "extensions"),
        ({"x5c": []}, "1 to 10 certificates"),
        ({"x5c": None}, "1 to 10 certificates"),
        ({"x5c": "AAAA"}, "1 to 10 certificates"),
        ({"x5c": ["AAAA"] * 11}, "1 to 10 certificates"),
        ({"x5c": ["AAAA"]}, "x5c/0 is not a certificate"),
        ({"x5c": [1]}, "x5c/0 is not a certificate"),
        ({"x5c": [None]}, "x5c/0 is not a certificate"),
        ({"x5c": ["ü"]}, "x5c/0 is not a certificate"),
        ({"x5c": ["A A"]}, "x5c/0 is not a certificate"),
        ({"jwk": None}, "expected jwk to be an RSA key"),
        ({"jwk": {"kty": "RSA"}}, "n and e must be numbers"),
        ({"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}, "n and e must be numbers"),
        ({"jwk": {"kty": "RSA", "n": "", "e": ""}}, "n and e must be numbers"),
        ({"jwk": {"kty": "RSA", "n": "ü", "e": "AQAB"}}, "n and e must be numbers"),
        ({"jwk": {"kty": "RSA", "n": 5, "e": 3}}, "n and e must be numbers"),
    ],
)
def test_unsupported_header_is_refused(header: Json, named: str) -> None:
    assert named in refusal(jws(**header))


@pytest.mark.parametrize("changed", [{"e": "AQ"}, {"e": "AA"}, {"e": "Ag"}])
def test_exponent_that_verifies_anything_is_refused(changed: Json) -> None:
    assert "n and e must be numbers" in refusal(jws(jwk=jwk(rsa_key()) | changed))


@pytest.mark.parametrize("changed", [{"alg": "RS512"}, {"use": "enc"}])
def test_jwk_with_another_purpose_is_refused(changed: Json) -> None:
    assert "not meant for signatures" in refusal(jws(jwk=jwk(rsa_key()) | changed))


def test_private_jwk_is_refused() -> None:
    private = RSAKey.import_key(rsa_key()).as_dict(private=True)
    assert "private key" in refusal(jws(jwk=private))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "expected a compact JWS"),
        (b"..", "expected a compact JWS"),
        (b"e30.e30", "expected a compact JWS"),
        (b"e30.e30.e30.e30", "expected a compact JWS"),
        (json.dumps({"payload": "e30", "signatures": []}).encode(), "expected a compact JWS"),
        (b"e3.e30.e30", "the header of the JWS is not base64url"),
        (b"e30=.e30.e30", "the header of the JWS is not base64url"),
        (b"e30.e30.e3+0", "the signature of the JWS is not base64url"),
        (b"e30.e30.e30\n", "the signature of the JWS is not base64url"),
        (b"e30.\xff\xff.e30", "the payload of the JWS is not base64url"),
        (b"AAAA.e30.e30", "the header of the JWS is not JSON"),
        (b"W10.e30.e30", "expected a JSON object as header"),
        (b"e30.e30.e30", "expected the alg"),
        (base64url(b'{"alg": "none", "alg": "RS256"}') + b".e30.e30", "is not JSON"),
        (b"." * 1_048_577, "more than 1048576"),
        (b"." * 1_048_576, "expected a compact JWS"),
    ],
)
def test_malformed_jws_is_refused(content: bytes, named: str) -> None:
    assert named in refusal(content)


def replace_bytes(content: bytes, changes: Sequence[tuple[int, bytes]]) -> bytes:
    for position, piece in changes:
        at = position % (len(content) + 1)
        content = content[:at] + piece + content[at + len(piece) :]
    return content


changes = st.lists(st.tuples(st.integers(0, 4_000), st.binary(max_size=3)), min_size=1, max_size=3)


@given(changes)
def test_changed_certificate_is_refused_without_other_errors(some: list[tuple[int, bytes]]) -> None:
    der = certificate(rsa_key())
    changed = replace_bytes(der, some)
    try:
        result = verify(jws(x5c=x5c(changed, changed)))
    except InvalidStatement:
        return
    assert (result.status, changed) == ("verified", der)


@given(changes)
def test_changed_signature_is_refused_without_other_errors(some: list[tuple[int, bytes]]) -> None:
    content = jws(x5c=x5c(certificate(rsa_key())))
    changed = replace_bytes(content, some)
    try:
        result = verify(changed)
    except InvalidStatement:
        assert changed != content
    else:
        # The change may hit the name of the member x5c.
        assert (result.status == "verified") is (changed == content)


header_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("RSA"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["kty", "n", "e", "alg", "use"]), inner, max_size=4
    ),
    max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["x5c", "jwk", "b64", "crit", "kid"]), header_values))
def test_any_header_is_accepted_or_refused(header: Json) -> None:
    try:
        result = verify(jws(sign=lambda _: b"x", **header))
    except InvalidStatement:
        return
    assert result.status == "no key"
