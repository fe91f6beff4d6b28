"""Signed statements: stored signatures and refused ones."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from lrs.api.services import Services
from lrs.xapi import signatures
from tests.support.attachments import MIXED, URL, get, multipart_body, read
from tests.support.partners import Partner
from tests.support.signatures import attachment, certificate, ec_key, jwk, jws, rs, rsa_key, x5c
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]


def unsigned_statement(**members: Any) -> Json:
    """An unsigned statement."""
    return statement(
        **{"id": new_id(), "timestamp": "2024-05-01T12:00:00.123Z", **members},
        result={"score": {"scaled": 0.5}, "duration": "PT1M2.34S"},
    )


def with_signature(unsigned: Json, *signatures: bytes, **members: Any) -> Json:
    return {**unsigned, "attachments": [attachment(item, **members) for item in signatures]}


def certified(unsigned: Json, algorithm: str = "RS256") -> bytes:
    """A signature with the certificate of its key."""
    return jws(unsigned, alg=algorithm, x5c=x5c(certificate(rsa_key())))


async def post(partner: Partner, statements: Any, *signatures: bytes) -> httpx.Response:
    return await partner.http.post(
        URL,
        content=multipart_body(statements, *signatures),
        headers={**XAPI, **MIXED},
        auth=(partner.key, partner.secret),
    )


async def sign_and_post(partner: Partner, unsigned: Json, signature: bytes) -> httpx.Response:
    return await post(partner, with_signature(unsigned, signature), signature)


async def stored_signatures(services: Services, partner: Partner) -> list[Json]:
    """The stored signatures of a partner."""
    rows = await services.database.readers.fetch(
        """select statement_id::text, encode(sha2, 'hex') as sha2, status, algorithm, key, subject
        from signature where partner_id = $1 order by statement_id, sha2""",
        partner.partner_id,
    )
    return [dict(row) for row in rows]


async def ids(partner: Partner) -> set[str]:
    return {item["id"] for item in await partner.all()}


async def refused(services: Services, partner: Partner, answer: httpx.Response) -> str:
    """Asserts that nothing is stored; returns the detail about the signature."""
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert problem["code"] == "invalid-statement"
    (error,) = problem["errors"]
    assert error["pointer"] == "/attachments/0"
    assert "2.6" in error["requirement"]
    assert await ids(partner) == set()
    assert await stored_signatures(services, partner) == []
    detail: str = error["detail"]
    return detail


# Stored signatures


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
async def test_verified_signature_is_stored_with_its_key(
    partner: Partner, services: Services, algorithm: str
) -> None:
    unsigned = unsigned_statement()
    signature = certified(unsigned, algorithm)
    answer = await sign_and_post(partner, unsigned, signature)
    assert (answer.status_code, answer.json()) == (200, [unsigned["id"]])
    (row,) = await stored_signatures(services, partner)
    assert row.pop("key")
    assert row == {
        "statement_id": unsigned["id"],
        "sha2": hashlib.sha256(signature).hexdigest(),
        "status": "verified",
        "algorithm": algorithm,
        "subject": "CN=signer",
    }
    result = read(await get(partner, statementId=unsigned["id"], attachments="true"))
    assert list(result.contents.values()) == [signature]


async def test_signature_is_verified_with_a_jwk(partner: Partner, services: Services) -> None:
    unsigned = unsigned_statement()
    signature = jws(unsigned, jwk=jwk(rsa_key()))
    assert (await sign_and_post(partner, unsigned, signature)).status_code == 200
    (row,) = await stored_signatures(services, partner)
    assert (row["status"], row["subject"]) == ("verified", None)
    assert row["key"]


async def test_signature_without_key_is_stored_as_no_key(
    partner: Partner, services: Services
) -> None:
    unsigned = unsigned_statement()
    assert (await sign_and_post(partner, unsigned, jws(unsigned))).status_code == 200
    (row,) = await stored_signatures(services, partner)
    assert (row["status"], row["key"], row["subject"]) == ("no key", None, None)


async def test_signature_by_another_key_is_stored_as_mismatch(
    partner: Partner, services: Services
) -> None:
    """The specification requires refusal with a certificate, and does not mention bare keys."""
    unsigned = unsigned_statement()
    forged = jws(unsigned, key=rsa_key("other"), jwk=jwk(rsa_key()))
    assert (await sign_and_post(partner, unsigned, forged)).status_code == 200
    (row,) = await stored_signatures(services, partner)
    assert row["status"] == "mismatch"
    assert row["key"]


async def test_put_of_a_signed_statement_is_verified(partner: Partner, services: Services) -> None:
    """Signed without an id, with an id in the request."""
    unsigned = unsigned_statement()
    statement_id = unsigned.pop("id")
    signature = certified(unsigned)
    answer = await partner.http.put(
        URL,
        params={"statementId": statement_id},
        content=multipart_body(with_signature(unsigned, signature), signature),
        headers={**XAPI, **MIXED},
        auth=(partner.key, partner.secret),
    )
    assert answer.status_code == 204, answer.text
    (row,) = await stored_signatures(services, partner)
    assert (row["statement_id"], row["status"]) == (statement_id, "verified")


async def test_two_signatures_of_one_statement_are_stored(
    partner: Partner, services: Services
) -> None:
    unsigned = unsigned_statement()
    signatures = [certified(unsigned), jws(unsigned, key=rsa_key("second"))]
    answer = await post(partner, with_signature(unsigned, *signatures), *signatures)
    assert answer.status_code == 200, answer.text
    assert sorted(row["status"] for row in await stored_signatures(services, partner)) == [
        "no key",
        "verified",
    ]


async def test_repeated_signature_is_stored_once(partner: Partner, services: Services) -> None:
    unsigned = unsigned_statement()
    signature = certified(unsigned)
    answer = await post(partner, with_signature(unsigned, signature, signature), signature)
    assert answer.status_code == 200, answer.text
    assert len(await stored_signatures(services, partner)) == 1


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_signed_statement_in_a_batch_is_verified(
    partner: Partner, services: Services, position: int
) -> None:
    unsigned = unsigned_statement()
    signature = certified(unsigned)
    batch = [statement(id=new_id()), statement(id=new_id())]
    batch.insert(position, with_signature(unsigned, signature))
    answer = await post(partner, batch, signature)
    assert answer.json() == [item["id"] for item in batch]
    (row,) = await stored_signatures(services, partner)
    assert row["statement_id"] == unsigned["id"]


async def test_shared_signature_is_verified_once(partner: Partner, services: Services) -> None:
    unsigned = unsigned_statement(
        context={"extensions": {"http://example.com/x": [{"a": 1}] * 5_000}}
    )
    signature = certified(unsigned)
    signed = with_signature(unsigned, *[signature] * 1_000)
    began = time.process_time()
    assert (await post(partner, signed, signature)).status_code == 200
    assert time.process_time() - began < 2  # a thousand verifications took 5 s
    assert len(await stored_signatures(services, partner)) == 1


async def test_signatures_of_a_batch_are_stored_with_their_statements(
    partner: Partner, services: Services
) -> None:
    batch = [unsigned_statement() for _ in range(4)]
    signatures = [certified(item) for item in batch]
    signed = [with_signature(*pair) for pair in zip(batch, signatures, strict=True)]
    assert (await post(partner, signed, *signatures)).status_code == 200
    assert {
        row["statement_id"]: row["sha2"] for row in await stored_signatures(services, partner)
    } == {
        item["id"]: hashlib.sha256(signature).hexdigest()
        for item, signature in zip(batch, signatures, strict=True)
    }


async def test_signatures_are_isolated_by_partner(
    partner: Partner, stranger: Partner, services: Services
) -> None:
    unsigned = unsigned_statement()
    assert (await sign_and_post(partner, unsigned, certified(unsigned))).status_code == 200
    assert (await sign_and_post(stranger, unsigned, jws(unsigned))).status_code == 200
    assert [row["status"] for row in await stored_signatures(services, partner)] == ["verified"]
    assert [row["status"] for row in await stored_signatures(services, stranger)] == ["no key"]


@pytest.mark.parametrize("verb", ["voided", "completed"])
async def test_signed_reference_to_another_statement_is_verified(
    partner: Partner, services: Services, verb: str
) -> None:
    target = statement(id=new_id())
    unsigned = unsigned_statement(
        verb={"id": f"http://adlnet.gov/expapi/verbs/{verb}"},
        object={"objectType": "StatementRef", "id": target["id"]},
    )
    assert (await sign_and_post(partner, unsigned, certified(unsigned))).status_code == 200
    assert (await partner.xapi(target)).status_code == 200
    assert len(await stored_signatures(services, partner)) == 1
    still_there = {target["id"]} if verb == "completed" else set()
    assert await ids(partner) == {unsigned["id"], *still_there}


async def test_duplicate_keeps_the_stored_signature(partner: Partner, services: Services) -> None:
    """A stored statement is not signed again."""
    unsigned = unsigned_statement()
    assert (await sign_and_post(partner, unsigned, jws(unsigned))).status_code == 200
    before = await stored_signatures(services, partner)
    for signature in (jws(unsigned), certified(unsigned)):
        assert (await sign_and_post(partner, unsigned, signature)).status_code == 200
    assert await stored_signatures(services, partner) == before


async def test_duplicate_adds_no_signature_to_an_unsigned_statement(
    partner: Partner, services: Services
) -> None:
    unsigned = unsigned_statement()
    assert (await partner.xapi(unsigned)).status_code == 200
    assert (await sign_and_post(partner, unsigned, certified(unsigned))).status_code == 200
    assert await stored_signatures(services, partner) == []


# Refused signatures


async def test_forged_signature_is_refused(partner: Partner, services: Services) -> None:
    unsigned = unsigned_statement()
    forged = jws(unsigned, sign=rs("RS256", rsa_key("forger")), x5c=x5c(certificate(rsa_key())))
    message = await refused(services, partner, await sign_and_post(partner, unsigned, forged))
    assert message == "the signature does not verify with the key in x5c"


async def test_payload_that_differs_from_the_statement_is_refused(
    partner: Partner, services: Services
) -> None:
    unsigned = unsigned_statement()
    for changed, where in (
        ({"verb": {"id": "http://example.com/failed"}}, "/verb/id"),
        ({"actor": {"mbox": "mailto:someone.else@example.com"}}, "/actor/mbox"),
        ({"result": {**unsigned["result"], "score": {"scaled": 1}}}, "/result/score/scaled"),
        ({"id": new_id()}, "/id"),
        ({"timestamp": "2024-05-01T12:00:01Z"}, "/timestamp"),
    ):
        answer = await sign_and_post(partner, {**unsigned, **changed}, certified(unsigned))
        message = await refused(services, partner, answer)
        assert message == f"the payload differs from the statement at {where}"


async def test_other_algorithm_than_rsa_with_sha2_is_refused(
    partner: Partner, services: Services
) -> None:
    unsigned = unsigned_statement()
    for algorithm, signature in (
        (
            "HS256",
            jws(
                unsigned,
                alg="HS256",
                sign=lambda text: hmac.digest(b"a secret", text, "sha256"),
            ),
        ),
        ("none", jws(unsigned, alg="none", sign=lambda _: b"x")),
        (
            "ES256",
            jws(
                unsigned,
                alg="ES256",
                sign=lambda text: ec_key().sign(text, ec.ECDSA(hashes.SHA256())),
                x5c=x5c(certificate(ec_key())),
            ),
        ),
    ):
        message = await refused(
            services, partner, await sign_and_post(partner, unsigned, signature)
        )
        assert "expected the alg RS256, RS384 or RS512" in message
        assert algorithm in message


async def test_malformed_signature_is_refused(partner: Partner, services: Services) -> None:
    unsigned = unsigned_statement()
    for content, named in (
        (b"", "expected a compact JWS"),
        (b"a.b", "expected a compact JWS"),
        (b"!.!.!", "base64url"),
        (json.dumps(unsigned).encode(), "expected a compact JWS"),
        (jws(b"not JSON"), "payload"),
        (jws([unsigned]), "expected a JSON object as payload"),
    ):
        answer = await sign_and_post(partner, unsigned, content)
        assert named in await refused(services, partner, answer)


async def test_signature_with_other_media_type_or_without_content_is_refused(
    partner: Partner, services: Services
) -> None:
    unsigned = unsigned_statement()
    signature = certified(unsigned)
    named = with_signature(unsigned, signature, fileUrl="https://files.example.com/1")
    for answer in (
        await partner.xapi(named),
        await post(partner, named),
        await partner.send(named),
        await post(partner, with_signature(unsigned, signature, contentType="text/plain")),
    ):
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"].startswith("/attachments/0")
    assert await stored_signatures(services, partner) == []
    assert await ids(partner) == set()


@pytest.mark.parametrize("position", [0, 1])
async def test_invalid_signature_refuses_the_batch(
    partner: Partner, services: Services, position: int
) -> None:
    good, bad = unsigned_statement(), unsigned_statement()
    signatures = [certified(good), certified({**bad, "id": new_id()})]
    batch = [with_signature(good, signatures[0]), with_signature(bad, signatures[1])]
    answer = await post(partner, batch if position else batch[::-1], *signatures)
    assert answer.status_code == 400
    (result,) = answer.json()["results"]
    assert result["index"] == position
    assert await stored_signatures(services, partner) == []
    assert await ids(partner) == set()


async def test_signature_of_a_conflicting_statement_is_not_stored(
    partner: Partner, services: Services
) -> None:
    existing = statement(id=new_id(), verb={"id": "http://example.com/other"})
    assert (await partner.xapi(existing)).status_code == 200
    unsigned = unsigned_statement(id=existing["id"])
    signature = certified(unsigned)
    for batch in (
        with_signature(unsigned, signature),
        [statement(), with_signature(unsigned, signature)],
    ):
        assert (await post(partner, batch, signature)).status_code == 409
    assert await stored_signatures(services, partner) == []
    # Nor one in the same batch as a conflict.
    signed = unsigned_statement()
    signature = certified(signed)
    conflict = {**existing, "verb": {"id": "http://example.com/third"}}
    answer = await post(partner, [with_signature(signed, signature), conflict], signature)
    assert answer.status_code == 409
    assert await stored_signatures(services, partner) == []
    assert await ids(partner) == {existing["id"]}


# Bounds


@pytest.mark.parametrize("repeated", [True, False])
async def test_request_with_too_many_signatures_is_refused(
    partner: Partner, monkeypatch: pytest.MonkeyPatch, repeated: bool
) -> None:
    """Before any of them is verified, also if the statements share one signature."""
    monkeypatch.setattr(signatures, "examine_signature", None)
    contents = [b"%d" % (0 if repeated else number) for number in range(26)]
    sent = [
        with_signature(unsigned_statement(), content)
        for content in (contents if repeated else contents[:26])
    ]
    response = await post(partner, sent, *dict.fromkeys(contents))
    assert response.status_code == 400
    expected = "Expected at most 25 signatures in a request, found 26 up to statement 25"
    assert expected in response.json()["detail"]


async def test_request_with_large_signatures_is_refused(partner: Partner) -> None:
    content = b"x" * 1_000_000
    sent = [with_signature(unsigned_statement(), content) for _ in range(5)]
    response = await post(partner, sent, content)
    assert response.status_code == 400
    assert "found 5000000 up to statement 4" in response.json()["detail"]


async def test_statement_with_six_signatures_is_refused(partner: Partner) -> None:
    contents = [b"%d" % number for number in range(6)]
    response = await post(partner, with_signature(unsigned_statement(), *contents), *contents)
    assert response.status_code == 400
    assert "expected at most 5 signatures, found 6" in response.text


async def test_signature_is_verified_outside_the_event_loop(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    examine = signatures.examine_signature

    def examine_in(*arguments: Any) -> signatures.Signature:
        threads.append(threading.current_thread())
        return examine(*arguments)

    monkeypatch.setattr(signatures, "examine_signature", examine_in)
    unsigned = unsigned_statement()
    response = await sign_and_post(partner, unsigned, certified(unsigned))
    assert response.status_code == 200
    assert threads
    assert threading.main_thread() not in threads
