"""Token endpoint: client authentication, errors, scopes."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from tests.support.oauth import GRANT, TOKEN, bearer, issue, refused
from tests.support.partners import Partner, new_partner
from tests.support.statements import statement

# Client authentication


@pytest.mark.parametrize("path", [TOKEN, "/oauth2-provider/token"])
@pytest.mark.parametrize("form", ["data", "json"])
@pytest.mark.parametrize("method", ["basic", "body"])
async def test_client_credentials_grant_returns_a_token(
    partner: Partner, path: str, form: str, method: str
) -> None:
    reported = dict(GRANT)
    request: dict[str, Any] = {form: reported}
    if method == "basic":
        request["auth"] = (partner.key, partner.secret)
    else:
        reported |= {"client_id": partner.key, "client_secret": partner.secret}
    response = await partner.http.post(path, **request)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    body = response.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "all")
    result = await partner.get(headers=bearer(body["access_token"]))
    assert result.status_code == 200


async def test_percipio_token_request_returns_a_token(partner: Partner) -> None:
    response = await partner.http.post(
        "/oauth2-provider/token",
        json={
            "client_id": partner.key,
            "client_secret": partner.secret,
            "grant_type": "client_credentials",
            "scope": "api",
        },
    )
    assert response.status_code == 200
    assert (await partner.get(headers=bearer(response.json()["access_token"]))).status_code == 200


async def test_secret_in_basic_credentials_is_percent_decoded(partner: Partner) -> None:
    quoted = "".join(f"%{ord(letter):02X}" for letter in partner.secret)
    response = await partner.http.post(TOKEN, data=GRANT, auth=(partner.key, quoted))
    assert response.status_code == 200


async def test_unknown_client_is_refused_with_invalid_client(partner: Partner) -> None:
    wrong: list[dict[str, Any]] = [
        {"auth": (partner.key, "wrong")},
        {"auth": (partner.key, "")},
        {"auth": ("nobody", partner.secret)},
        {"auth": ("", "")},
        {"auth": (f"{partner.key}\0", partner.secret)},
        {"auth": ("ключ", "секрет")},
        {"headers": {"Authorization": "Basic"}},
        {"headers": {"Authorization": "Basic !!!"}},
        {"headers": {"Authorization": "Basic bm9jb2xvbg=="}},
        {"headers": {"Authorization": f"Basic {base64.b64encode(b':').decode()}"}},
        {"headers": {"Authorization": f"Basic {base64.b64encode(bytes([255, 58])).decode()}"}},
        {},
    ]
    for item in wrong:
        refused(await partner.http.post(TOKEN, data=GRANT, **item), 401, "invalid_client")
    for key, secret in (("", ""), (partner.key, "wrong"), ("a\0b", "x"), ("ü", "ü")):
        form = {**GRANT, "client_id": key, "client_secret": secret}
        for sent in ({"data": form}, {"json": form}):
            refused(await partner.http.post(TOKEN, **sent), 401, "invalid_client")  # type: ignore[arg-type]


async def test_missing_client_credentials_are_named(partner: Partner) -> None:
    for form, missing in (
        ({}, "no client_id and no client_secret"),
        ({"client_id": ""}, "no client_id and no client_secret"),
        ({"client_id": partner.key}, "no client_secret:"),
        ({"client_secret": partner.secret}, "no client_id:"),
    ):
        response = await partner.http.post(TOKEN, data=GRANT | form)
        refused(response, 401, "invalid_client")
        assert missing in response.json()["error_description"]
        assert response.headers["www-authenticate"].startswith('Basic realm="lrs", error=')


async def test_basic_credentials_without_a_client_id_are_named(partner: Partner) -> None:
    response = await partner.http.post(TOKEN, data=GRANT, auth=("", partner.secret))
    refused(response, 401, "invalid_client")
    assert "no user name" in response.json()["error_description"]


async def test_bearer_credential_cannot_request_a_token(
    partner: Partner, services: Services
) -> None:
    issued = await issue(services, partner, kind="bearer")
    response = await partner.http.post(TOKEN, data=GRANT, auth=(issued.key, issued.secret))
    refused(response, 401, "invalid_client")


async def test_two_client_authentications_are_an_invalid_request(partner: Partner) -> None:
    auth = (partner.key, partner.secret)
    both = {**GRANT, "client_id": partner.key, "client_secret": partner.secret}
    refused(await partner.http.post(TOKEN, data=both, auth=auth), 400, "invalid_request")
    response = await partner.http.post(TOKEN, data=both, headers=bearer("x"))
    refused(response, 400, "invalid_request")
    named = {**GRANT, "client_id": "another"}
    refused(await partner.http.post(TOKEN, data=named, auth=auth), 400, "invalid_request")
    named = {**GRANT, "client_id": partner.key}
    assert (await partner.http.post(TOKEN, data=named, auth=auth)).status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "ünsupported\x00\n"}, "unsupported_grant_type"),
        ({**GRANT, "scope": "everything"}, "invalid_scope"),
        ({**GRANT, "scope": 'statements/write "ü"'}, "invalid_scope"),
    ],
)
@pytest.mark.parametrize("kind", ["data", "json"])
async def test_invalid_token_request_returns_the_rfc_6749_error(
    partner: Partner, form: dict[str, str], error: str, kind: str
) -> None:
    response = await partner.http.post(TOKEN, **{kind: form}, auth=(partner.key, partner.secret))  # type: ignore[arg-type]
    refused(response, 400, error)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", FORM),
        (
            b'{"grant_type":"client_credentials","grant_type":"client_credentials"}',
            "application/json",
        ),
        (b"grant_type=client_credentials&scope=all&scope=all", FORM),
        (b"grant_type", FORM),
        (b"grant_type=\xff", FORM),
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'"text"', "application/json"),
        (b'{"grant_type":1}', "application/json"),
        (b'{"grant_type":["client_credentials"]}', "application/json"),
        (b'{"grant_type":"client_credentials","scope":{}}', "application/json"),
        (b"[" * 10_000, "application/json"),
        (b"grant_type=client_credentials", "text/plain"),
        (b"grant_type=client_credentials", ""),
    ],
)
async def test_malformed_body_is_an_invalid_request(
    partner: Partner, body: bytes, content_type: str
) -> None:
    response = await partner.http.post(
        TOKEN,
        content=body,
        headers={"Content-Type": content_type},
        auth=(partner.key, partner.secret),
    )
    refused(response, 400, "invalid_request")


async def test_large_token_request_returns_413(partner: Partner) -> None:
    response = await partner.http.post(TOKEN, data={"grant_type": "x" * 20_000})
    assert response.status_code == 413


async def test_get_of_the_token_endpoint_returns_405(http: httpx.AsyncClient) -> None:
    response = await http.get(TOKEN)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


# Scopes


@pytest.mark.parametrize("requested", [None, "", "api", "all", "api all"])
async def test_token_without_scope_has_the_granted_scopes(
    partner: Partner, requested: str | None
) -> None:
    form = GRANT if requested is None else {**GRANT, "scope": requested}
    response = await partner.http.post(TOKEN, data=form, auth=(partner.key, partner.secret))
    assert response.json()["scope"] == "all"


async def test_token_with_fewer_scopes_than_its_credential_is_limited(partner: Partner) -> None:
    response = await partner.http.post(
        TOKEN,
        data={**GRANT, "scope": "statements/write statements/read/mine"},
        auth=(partner.key, partner.secret),
    )
    assert response.json()["scope"] == "statements/read/mine statements/write"
    headers = bearer(response.json()["access_token"])
    assert (await partner.send(statement(), headers=headers)).status_code == 200
    track = await partner.send({}, resource="track", headers=headers)
    assert (track.status_code, track.json()["code"]) == (403, "missing-scope")


async def test_scope_beyond_the_credential_is_an_invalid_scope(
    services: Services, http: httpx.AsyncClient
) -> None:
    reader = await new_partner(services, http, frozenset({scopes.STATEMENTS_READ}))
    for requested in ("all", "admin", "statements/write", "api statements/write"):
        response = await http.post(
            TOKEN, data={**GRANT, "scope": requested}, auth=(reader.key, reader.secret)
        )
        refused(response, 400, "invalid_scope")
    implied = await http.post(
        TOKEN, data={**GRANT, "scope": "statements/read/mine"}, auth=(reader.key, reader.secret)
    )
    assert implied.json()["scope"] == "statements/read/mine"


async def test_all_scope_does_not_include_admin(partner: Partner) -> None:
    response = await partner.http.post(
        TOKEN, data={**GRANT, "scope": "admin"}, auth=(partner.key, partner.secret)
    )
    refused(response, 400, "invalid_scope")
