"""Attacks with valid statements of a partner."""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from scripts.fairness.attacks.client import Target, http, repeat
from scripts.fairness.attacks.uploads import multipart
from scripts.fairness.victim import statement

_VOIDED = "http://adlnet.gov/expapi/verbs/voided"
_SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"


async def flood(target: Target) -> None:
    """Single statements on 64 connections, each as soon as the last one is acknowledged."""
    async with http(target) as client:
        await repeat(64, lambda: client.post(target.statements, json=statement("mallory")))


async def token_flood(target: Target) -> None:
    """Access tokens for the right secret: each costs a signature."""
    async with http(target) as client:

        async def once() -> None:
            await client.post(
                "/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(target.key, target.secret),
            )

        await repeat(64, once)


async def batch_flood(target: Target) -> None:
    async with http(target) as client:

        async def once() -> None:
            await client.post(target.statements, json=[statement("mallory") for _ in range(200)])

        await repeat(16, once)


async def references(target: Target) -> None:
    """References to one statement about very many activities."""
    others = [{"id": f"http://example.com/activities/{number}"} for number in range(20_000)]
    wide = {**statement("mallory"), "context": {"contextActivities": {"other": others}}}
    async with http(target) as client:
        await client.post("/xapi/statements", json=wide)

        async def once() -> None:
            await client.post("/xapi/statements", json=[_reference(wide["id"]) for _ in range(200)])

        await repeat(4, once)


async def voids(target: Target) -> None:
    async with http(target) as client:

        async def once() -> None:
            batch = [statement("mallory") for _ in range(25)]
            voiding = [_reference(item["id"]) | {"verb": {"id": _VOIDED}} for item in batch]
            await client.post(target.statements, json=batch + voiding)

        await repeat(8, once)


def _reference(statement_id: object) -> dict[str, object]:
    target = {"objectType": "StatementRef", "id": statement_id}
    return statement("mallory") | {"object": target}


async def canonical_pages(target: Target) -> None:
    """Many mentions of one large definition, read in the canonical format."""
    large = {"description": {"en": "x" * 12_000}}
    defining = statement("mallory") | {"object": {"id": "http://e.org/large", "definition": large}}
    mentions = [{"id": "http://e.org/large"}] * 300
    speaking = {"context": {"contextActivities": {"other": mentions}}}
    async with http(target) as client:
        await client.post(target.statements, json=defining)
        batch = [statement("mallory") | speaking for _ in range(50)]
        await client.post("/xapi/statements", json=batch)
        await repeat(8, lambda: client.get("/xapi/statements?format=canonical&limit=50"))


async def signatures(target: Target) -> None:
    """A multipart request with 225 signatures of 15 statements."""
    key = rsa.generate_private_key(65537, 4096)
    parts, batch = [], []
    for _ in range(15):
        item = statement("mallory")
        signed = [_sign(key, item, number) for number in range(15)]
        batch.append({**item, "attachments": [_attachment(content) for content in signed]})
        parts += signed
    body = multipart(json.dumps(batch).encode(), parts)
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    async with http(target) as client:
        await repeat(4, lambda: client.post("/xapi/statements", content=body, headers=headers))


def _sign(key: rsa.RSAPrivateKey, item: dict[str, object], number: int) -> bytes:
    public = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": _integer(public.n), "e": _integer(public.e)}
    header = json.dumps({"alg": "RS256", "kid": str(number), "jwk": jwk}).encode()
    signed = _base64(header) + b"." + _base64(json.dumps(item).encode())
    return signed + b"." + _base64(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))


def _integer(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _attachment(content: bytes) -> dict[str, object]:
    return {
        "usageType": _SIGNATURE,
        "display": {"en": "Signature"},
        "contentType": "application/octet-stream",
        "length": len(content),
        "sha2": hashlib.sha256(content).hexdigest(),
    }


async def many_activities(target: Target) -> None:
    """Statements with 10,000 context activities each."""
    async with http(target) as client:
        numbers = iter(range(10**9))

        async def once() -> None:
            first = next(numbers) * 10_000
            others = [{"id": f"http://e.org/{first + number}"} for number in range(10_000)]
            wide = statement("mallory") | {"context": {"contextActivities": {"other": others}}}
            await client.post("/xapi/statements", json=wide)

        await repeat(8, once)


async def long_identifiers(target: Target) -> None:
    """Identifiers that are long, and almost valid."""
    host = "a-" * 2000
    candidates = (
        statement("mallory") | {"object": {"id": f"http://{host}.org/{'%41' * 2000}%"}},
        statement("mallory") | {"actor": {"mbox": f"mailto:{'a.' * 3000}@{'b.' * 3000}"}},
        statement("mallory") | {"result": {"duration": "P" + "1" * 12_000 + "Y"}},
        statement("mallory") | {"context": {"language": "en-" + "a-" * 6000}},
        statement("mallory") | {"timestamp": "2026-01-01T00:00:00." + "1" * 12_000 + "Z"},
    )
    async with http(target) as client:
        await repeat(32, lambda: client.post(target.statements, json=list(candidates) * 20))


async def refusals(target: Target) -> None:
    """Refused items of 4 KB with reasons of their own, which the ledger keeps."""
    async with http(target) as client:

        async def once() -> None:
            batch = [statement("mallory") | {f"member{number}": "x" * 4000} for number in range(50)]
            await client.post(target.statements, json=batch)

        await repeat(16, once)
