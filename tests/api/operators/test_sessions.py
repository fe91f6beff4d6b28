"""Sessions of operators: login, cookie, end, and requests from foreign pages."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from lrs.admin import operators, sessions
from lrs.admin.operators import command_operator
from lrs.api.application import Application
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.operators import (
    PASSWORD,
    browser,
    new_email,
    new_link,
    operator_headers,
)
from tests.support.partners import Partner, new_partner

SESSION = "/v1/admin/session"


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post(SESSION, json={"email": email, "password": password})


async def redeem(client: httpx.AsyncClient, token: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post(f"{SESSION}/link", json={"token": token, "password": password})


async def test_link_sets_a_password_and_starts_a_session(
    app: Application, services: Services
) -> None:
    email, token = await new_link(services, "viewer")
    async with browser(app) as client:
        answer = await redeem(client, token)
        assert answer.status_code == 200, answer.text
        expected = {"email": email, "role": "viewer", "partners": None}
        assert answer.json() == (await client.get(SESSION)).json() == expected
    async with browser(app) as client:
        assert (await log_in(client, email.upper())).status_code == 200
        assert (await log_in(client, email, "another password")).status_code == 401


async def test_link_works_once(app: Application, services: Services) -> None:
    _, token = await new_link(services)
    async with browser(app) as client:
        answers = await asyncio.gather(*(redeem(client, token) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_new_link_ends_the_earlier_one(app: Application, services: Services) -> None:
    email, token = await new_link(services)
    newer = await sessions.issue_link(services.admin_database, command_operator(), email)
    async with browser(app) as client:
        assert (await redeem(client, token)).status_code == 401
        assert (await redeem(client, newer.token)).status_code == 200


async def test_expired_link_is_refused(app: Application, services: Services) -> None:
    email, token = await new_link(services)
    await services.database.readers.execute(
        "update operator_session set expires_at = now() where email = $1", email
    )
    async with browser(app) as client:
        assert (await redeem(client, token)).status_code == 401


@pytest.mark.parametrize("password", ["short", "a" * 20, "x" * 2000, ""])
async def test_weak_password_keeps_the_link_usable(
    app: Application, services: Services, password: str
) -> None:
    _, token = await new_link(services)
    async with browser(app) as client:
        answer = await redeem(client, token, password)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/password"
        assert (await redeem(client, token)).status_code == 200


async def test_session_cookie_over_https(app: Application, services: Services) -> None:
    _, token = await new_link(services)
    async with browser(app) as client:
        cookie = (await redeem(client, token)).headers["set-cookie"]
    name, _, attributes = cookie.partition("=")
    assert name == "__Host-lrs_session"
    parts = {part.strip().lower() for part in attributes.split(";")[1:]}
    assert parts >= {"secure", "httponly", "samesite=lax", "path=/", "max-age=43200"}


async def test_session_cookie_on_loopback_over_http(app: Application, services: Services) -> None:
    _, token = await new_link(services)
    async with browser(app, "http://127.0.0.1:8080") as client:
        cookie = (await redeem(client, token)).headers["set-cookie"]
        assert cookie.startswith("lrs_session=")
        assert "secure" not in cookie.lower()
        assert (await client.get(SESSION)).status_code == 200


async def test_password_over_http_from_another_machine_is_refused(
    app: Application, services: Services
) -> None:
    _, token = await new_link(services)
    async with browser(app, "http://lrs.test") as client:
        answer = await redeem(client, token)
        assert (answer.status_code, "https" in answer.json()["detail"]) == (403, True)


async def test_https_public_url_sets_the_secure_cookie(
    settings: Settings, services: Services
) -> None:
    """A proxy that neither passes the host nor the protocol."""
    _, token = await new_link(services)
    behind = replace(settings, public_url="https://lrs.example")
    async with serving(behind) as client:
        answer = await client.post(
            f"http://127.0.0.1:8080{SESSION}/link",
            json={"token": token, "password": PASSWORD},
            headers={"Origin": "https://lrs.example"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["set-cookie"].startswith("__Host-lrs_session=")


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://lrs.test"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://lrs.test:444"},
    {"Origin": "null"},
    {"Origin": ""},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_change_from_a_foreign_page_is_refused(
    app: Application, services: Services, headers: dict[str, str]
) -> None:
    _, token = await new_link(services)
    async with browser(app) as client:
        await redeem(client, token)
        assert (await client.delete(SESSION, headers=headers)).status_code == 403
        assert (await client.get(SESSION, headers=headers)).status_code == 200
        answer = await client.post(
            SESSION, json={"email": "a@b.example", "password": "x"}, headers=headers
        )
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://lrs.test"}, {}], ids=str
)
async def test_log_out_ends_the_session(
    app: Application, services: Services, headers: dict[str, str]
) -> None:
    _, token = await new_link(services)
    async with browser(app) as client:
        await redeem(client, token)
        (cookie,) = [f"{name}={value}" for name, value in client.cookies.items()]
        assert (await client.delete(SESSION, headers=headers)).status_code == 204
        assert not client.cookies
        assert (await client.get(SESSION, headers={"Cookie": cookie})).status_code == 401


async def test_idle_session_ends(app: Application, services: Services) -> None:
    email, token = await new_link(services)
    async with browser(app) as client:
        await redeem(client, token)
        for minutes, status in ((59, 200), (59, 200), (61, 401)):
            await services.database.readers.execute(
                "update operator_session set last_used_at = now() - make_interval(mins => $2)"
                " where email = $1",
                email,
                minutes,
            )
            assert (await client.get(SESSION)).status_code == status


async def test_disabled_operator_is_refused_at_once(app: Application, services: Services) -> None:
    email, token = await new_link(services)
    database, by = services.admin_database, command_operator()
    issued = await sessions.issue_token(database, by, email, days=1)
    bearer = {"Authorization": f"Bearer {issued.token}"}
    async with browser(app) as client, browser(app) as script:
        await redeem(client, token)
        assert (await script.get(SESSION, headers=bearer)).status_code == 200
        await operators.set_disabled(database, by, email, disabled=True)
        assert (await client.get(SESSION)).status_code == 401
        assert (await script.get(SESSION, headers=bearer)).status_code == 401
        assert (await log_in(client, email)).status_code == 401


async def test_changed_role_holds_for_present_sessions(
    app: Application, services: Services, partner: Partner
) -> None:
    email, token = await new_link(services)
    database, by = services.admin_database, command_operator()
    async with browser(app) as client:
        await redeem(client, token)
        changes = {"role": "viewer", "partners": [partner.name]}
        await operators.set_operator(database, by, email, changes)
        expected = {"email": email, "role": "viewer", "partners": [partner.name]}
        assert (await client.get(SESSION)).json() == expected


async def test_credential_of_a_partner_is_never_an_operator(
    services: Services, http: httpx.AsyncClient
) -> None:
    partner = await new_partner(services, http, frozenset({scopes.ADMIN, scopes.ALL}))
    for status, options in (
        (403, {"headers": partner.headers}),
        (403, {"auth": (partner.key, partner.secret)}),
        (401, {"headers": {"Authorization": f"Bearer {partner.key}.{partner.secret}"}}),
        (401, {"headers": {"Authorization": f"Bearer lrsop_{partner.secret}"}}),
        (401, {"headers": {"Authorization": "Digest x"}}),
        (401, {"headers": {"Cookie": f"__Host-lrs_session={partner.secret}"}}),
        (401, {}),
    ):
        answer = await http.get(f"https://lrs.test{SESSION}", **options)  # type: ignore[arg-type]
        assert answer.status_code == status, options
        assert status == 403 or answer.headers["www-authenticate"].startswith("Bearer")


async def test_token_of_an_operator_is_no_credential_of_a_partner(
    services: Services, partner: Partner
) -> None:
    headers = await operator_headers(services)
    assert (await partner.http.get(partner.url("statements"), headers=headers)).status_code == 401


async def test_token_as_a_cookie_is_refused(app: Application, services: Services) -> None:
    token = (await operator_headers(services))["Authorization"].partition(" ")[2]
    async with browser(app) as client:
        headers = {"Cookie": f"__Host-lrs_session={token}"}
        assert (await client.get(SESSION, headers=headers)).status_code == 401


async def test_failed_logins_are_throttled(settings: Settings, services: Services) -> None:
    email, token = await new_link(services)
    limited = replace(settings, max_authentication_failures=3)
    async with serving(limited) as http:
        url = f"https://lrs.test{SESSION}"
        await http.post(f"{url}/link", json={"token": token, "password": PASSWORD})
        answers = [
            await http.post(url, json={"email": email, "password": f"wrong {number}"})
            for number in range(5)
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        answer = await http.post(url, json={"email": email, "password": PASSWORD})
        assert answer.status_code == 429


async def test_unknown_email_is_refused_like_a_wrong_password(
    app: Application, services: Services
) -> None:
    email, token = await new_link(services)
    async with browser(app) as client:
        await redeem(client, token)
        answers = [await log_in(client, name, "wrong password") for name in (email, new_email())]
        assert answers[0].json() == answers[1].json()
        for name in ("", "x" * 10_000, "a@b\n", "ü@x.example"):
            answer = await log_in(client, name, "x")
            assert answer.status_code == 401, name


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": 1, "password": "x"}, "/email"),
        ({"email": "x"}, "/password"),
        ({"email": "x", "password": "x", "more": 1}, "/more"),
    ],
)
async def test_invalid_body_names_the_member(
    app: Application, body: dict[str, object], pointer: str
) -> None:
    async with browser(app) as client:
        answer = await client.post(SESSION, json=body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == pointer
