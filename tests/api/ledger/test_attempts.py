"""Failed authentications, 403 and 404: matched to a partner, without secrets."""

from __future__ import annotations

import asyncpg
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from lrs.api.services import Services
from lrs.auth import credentials, scopes, tried_key
from lrs.ledger.attempts import NO_PARTNER, Attempt, AttemptBuffer
from lrs.store import registry
from tests.support.canvas import new_tool
from tests.support.ledger import attempts
from tests.support.oauth import GRANT, TOKEN
from tests.support.partners import Partner, new_partner
from tests.support.statements import XAPI, statement

SECRET = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
async def empty_buffer(services: Services) -> None:
    """Writes the attempts of other tests, which have the same client address and its limit."""
    await services.ledger.write()


async def basic(partner: Partner, key: str, secret: str, path: str = "/xapi/statements") -> None:
    await partner.http.get(path, headers=XAPI, auth=(key, secret))


async def test_wrong_secret_is_recorded_by_key(services: Services, partner: Partner) -> None:
    await basic(partner, partner.key, "wrong")
    (attempt,) = await attempts(services, partner.partner_id)
    assert (attempt.status, attempt.code, attempt.key) == (401, "unauthorized", partner.key)
    assert (attempt.reason, attempt.path) == ("wrong secret", "/xapi/statements")
    assert attempt.method == "GET"
    assert attempt.request_id


async def test_equal_attempts_are_one_row_with_their_number(
    services: Services, partner: Partner
) -> None:
    for _ in range(3):
        await basic(partner, partner.key, "wrong")
    await services.ledger.write()
    await basic(partner, partner.key, "another")
    (attempt,) = await attempts(services, partner.partner_id)
    assert attempt.attempts == 4
    assert attempt.first_at < attempt.last_at


async def test_wrong_path_is_recorded_by_key(services: Services, partner: Partner) -> None:
    await basic(partner, partner.key, partner.secret, "/data/xAPI/statements")
    (attempt,) = await attempts(services, partner.partner_id)
    assert (attempt.status, attempt.code) == (404, "not-found")
    assert (attempt.path, attempt.key) == ("/data/xAPI/statements", partner.key)
    assert "The path /xapi/statements is similar" in attempt.reason


async def test_foreign_token_is_recorded_for_both_partners_and_hides_the_key(
    services: Services, partner: Partner, stranger: Partner
) -> None:
    response = await partner.http.post(
        stranger.url("statements"), headers=partner.headers, json=statement()
    )
    assert response.status_code == 403
    (own,) = await attempts(services, partner.partner_id)
    (foreign,) = await attempts(services, stranger.partner_id)
    assert (own.status, own.key) == (403, partner.key)
    assert (foreign.status, foreign.key) == (403, None)
    assert foreign.reason.startswith("the key of another partner")
    assert partner.key not in repr(foreign)


async def test_missing_scope_is_recorded(services: Services, http: httpx.AsyncClient) -> None:
    reader = await new_partner(services, http, frozenset({scopes.STATEMENTS_READ}))
    await reader.send(statement())
    (attempt,) = await attempts(services, reader.partner_id)
    assert (attempt.status, attempt.code) == (403, "missing-scope")
    assert "statements/write" in attempt.reason


async def test_unknown_client_id_at_the_token_endpoint_is_kept_for_no_partner(
    services: Services, partner: Partner
) -> None:
    await partner.http.post(TOKEN, data=GRANT, auth=(f"typo-{partner.key}", "x"))
    found = [
        attempt
        for attempt in await attempts(services, NO_PARTNER)
        if attempt.key == f"typo-{partner.key}"
    ]
    assert [attempt.reason for attempt in found] == ["no credential has this key"]
    assert await attempts(services, partner.partner_id) == []


async def test_client_secret_in_the_body_is_recorded_by_client_id(
    services: Services, partner: Partner
) -> None:
    form = {**GRANT, "client_id": partner.key, "client_secret": "wrong"}
    await partner.http.post(TOKEN, data=form)
    (attempt,) = await attempts(services, partner.partner_id)
    assert (attempt.status, attempt.key, attempt.reason) == (401, partner.key, "wrong secret")


async def test_unverified_client_id_of_an_access_token_is_recorded(
    services: Services, partner: Partner
) -> None:
    forged = jwt.encode({"alg": "HS256"}, {"client_id": partner.key}, OctKey.import_key("x" * 32))
    await partner.http.get(
        "/xapi/statements", headers={**XAPI, "Authorization": f"Bearer {forged}"}
    )
    (attempt,) = await attempts(services, partner.partner_id)
    assert (attempt.status, attempt.key) == (401, partner.key)
    assert forged not in repr(attempt)


async def test_request_without_credentials_is_recorded_by_path(
    services: Services, partner: Partner
) -> None:
    await partner.http.post(partner.url("statements"), json=statement())
    (attempt,) = await attempts(services, partner.partner_id)
    assert (attempt.status, attempt.key) == (401, None)
    assert "no Authorization header" in attempt.reason


async def test_kind_and_state_of_the_credential_are_explained(
    services: Services, partner: Partner
) -> None:
    added = await registry.get_partner(services.database, partner.name)
    issued = await credentials.add_credential(
        services.database,
        added,
        kind="bearer",
        label="",
        granted=frozenset({scopes.ALL}),
        expires_at=None,
    )
    await basic(partner, issued.key, issued.secret)
    await registry.revoke_credential(services.database, issued.key)
    await partner.http.get(
        "/xapi/statements", headers={**XAPI, "Authorization": f"Bearer {issued.token}"}
    )
    reasons = {attempt.reason for attempt in await attempts(services, partner.partner_id)}
    assert reasons == {
        "the credential is of kind bearer: it needs a static token",
        "the credential is revoked",
    }


async def test_forged_callback_is_recorded_by_the_tool_in_its_token(
    services: Services, partner: Partner
) -> None:
    tool = await new_tool(services, partner)
    await tool.send(client_secret="wrong")
    (attempt,) = await attempts(services, partner.partner_id)
    assert (attempt.status, attempt.key) == (401, f"tool {tool.name}")
    assert tool.url.rpartition("/")[2] not in attempt.path


async def test_secrets_are_not_kept(
    services: Services, partner: Partner, connection: asyncpg.Connection
) -> None:
    await basic(partner, partner.secret, partner.key)
    await basic(partner, partner.key, partner.secret, f"/xapi/{partner.secret}")
    await partner.http.get(f"/xapi/nothing?secret={partner.secret}")
    await partner.http.get(
        "/xapi/statements", headers={**XAPI, "Authorization": f"Bearer {partner.secret}"}
    )
    await services.ledger.write()
    rows = await connection.fetch("select access_attempt::text as text from access_attempt")
    assert any(partner.secret[:4] in row["text"] for row in rows)
    assert not [row for row in rows if partner.secret in row["text"]]


async def test_attempts_of_a_partner_are_bounded(
    services: Services, partner: Partner, connection: asyncpg.Connection
) -> None:
    for address in range(7):
        buffer = AttemptBuffer()
        for number in range(1, 201):
            buffer.add(attempt(partner, f"/{number}", f"192.0.2.{address}.{number // 50}"), 1e9)
        await buffer.write(services.database)
    assert len(await attempts(services, partner.partner_id)) == 1000
    buffer = AttemptBuffer()
    for number in range(1000):
        buffer.add(attempt(partner, f"/x{number}", "192.0.2.200"), 2e9)
    await buffer.write(services.database)
    rows = await attempts(services, partner.partner_id)
    assert sum(row.address == "192.0.2.200" for row in rows) == 50


def attempt(partner: Partner, path: str, address: str) -> Attempt:
    return Attempt(
        404, "not-found", "No resource.", "GET", path, None, address, "r", None, partner.name
    )


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, None),
        ("", None),
        ("Basic", None),
        ("Basic %%%", None),
        ("Basic a2V5OnNlY3JldA==", "key"),
        ("Basic OnNlY3JldA==", None),
        (f"Bearer key.{SECRET}", "key"),
        (f"Bearer {SECRET}", None),
        (f"Bearer {SECRET}.key", "0123…"),
        ("Bearer a.b.c", None),
        ("Digest username=key", None),
        ("Bearer " + "x." * 5000, None),
    ],
)
def test_key_is_read_from_the_authorization_header(
    authorization: str | None, expected: str | None
) -> None:
    assert tried_key.read(authorization) == expected


def test_path_is_masked() -> None:
    assert tried_key.mask_text(f"/a/{SECRET}/b") == "/a/0123…/b"
    assert tried_key.mask_text("/v1/partners/acme/statements") == "/v1/partners/acme/statements"


@pytest.mark.parametrize("segment", ["%00", "%ED%A0%80", "a%00b", "x" * 100, "..", "%F0%9F%98%80"])
async def test_unstorable_path_does_not_lose_the_attempts_of_others(
    services: Services, partner: Partner, segment: str
) -> None:
    await partner.http.get(f"/v1/partners/{segment}/statements")
    await partner.http.get(f"/x/{segment}", headers={"Authorization": "Basic AAA6AAA="})
    await partner.http.get(f"/api/lti/v1/xapi/{segment}")
    await basic(partner, partner.key, "wrong")
    assert len(await attempts(services, partner.partner_id)) == 1
