"""Login of operators at an OpenID provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from lrs.app import create_app
from lrs.auth.oidc_roles import GrantedRole, claim_values, granted_role, parse_grants
from lrs.settings import Settings
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider
from tests.support.operators import browser, new_email
from tests.support.partners import Partner

SESSION = "/v1/admin/session"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
async def client(
    settings: Settings, provider: Provider, partner: Partner
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at a server with the provider."""
    provider.overrides, provider.userinfo = {}, {}
    provider.claims = {"email": new_email(), "email_verified": True, "roles": ["lrs-admins"]}
    roles = f"lrs-admins=owner, readers=viewer, support=operator:{partner.name}"
    app = create_app(
        replace(
            settings,
            oidc_issuer=provider.issuer,
            oidc_client_id=CLIENT_ID,
            oidc_client_secret=CLIENT_SECRET,
            oidc_roles=roles,
        )
    )
    async with app.lifespan(), browser(app) as opened:
        yield opened


async def log_in(client: httpx.AsyncClient, provider: Provider) -> httpx.Response:
    answer = await client.get("/console/oidc/login")
    assert answer.status_code == 302, answer.text
    return await client.get(provider.authorize(answer.headers["location"]))


async def test_claims_decide_role_and_partners(
    client: httpx.AsyncClient, provider: Provider, partner: Partner
) -> None:
    email = provider.claims["email"]
    assert "/console/oidc/login" in (await client.get("/console/login")).text
    for roles, role, partners in (
        (["lrs-admins", "readers"], "owner", None),
        (["readers"], "viewer", None),
        (["readers", "support"], "operator", [partner.name]),
    ):
        provider.claims["roles"] = roles
        answer = await log_in(client, provider)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/console")
        expected = {"email": email, "role": role, "partners": partners}
        assert (await client.get(SESSION)).json() == expected


async def test_roles_are_read_from_userinfo(client: httpx.AsyncClient, provider: Provider) -> None:
    del provider.claims["roles"]
    provider.userinfo = {"roles": "readers"}
    assert (await log_in(client, provider)).status_code == 303
    assert (await client.get(SESSION)).json()["role"] == "viewer"


@pytest.mark.parametrize(
    ("claims", "overrides", "status"),
    [
        ({"roles": ["strangers"]}, {}, 403),
        ({"email_verified": False}, {}, 403),
        ({"email": None}, {}, 403),
        ({}, {"nonce": "another"}, 401),
        ({}, {"aud": "another"}, 401),
        ({}, {"iss": "https://evil.example"}, 401),
        ({}, {"exp": 1}, 401),
    ],
)
async def test_untrusted_claims_are_refused(
    client: httpx.AsyncClient,
    provider: Provider,
    claims: dict[str, Any],
    overrides: dict[str, Any],
    status: int,
) -> None:
    provider.claims |= claims
    provider.overrides = overrides
    answer = await log_in(client, provider)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html")
    assert (await client.get(SESSION)).status_code == 401


async def test_callback_of_another_browser_or_with_another_state_is_refused(
    client: httpx.AsyncClient, provider: Provider
) -> None:
    answer = await client.get("/console/oidc/login")
    callback = provider.authorize(answer.headers["location"])
    assert (await client.get(callback.replace("state=", "state=x"))).status_code == 401
    client.cookies.clear()
    assert (await client.get(callback)).status_code == 401
    denied = await client.get("/console/oidc/callback?error=access_denied&state=x")
    assert denied.status_code == 401


async def test_pages_without_a_provider_return_404(http: httpx.AsyncClient) -> None:
    for path in ("login", "callback"):
        answer = await http.get(f"https://lrs.test/console/oidc/{path}")
        assert answer.status_code == 404


def test_highest_role_wins_without_the_partners_of_lower_ones() -> None:
    grants = parse_grants("a=viewer:acme, b=operator:globex,c=owner , d=operator:acme")
    assert granted_role(grants, ["a", "b"]) == GrantedRole("operator", ("globex",))
    assert granted_role(grants, ["b", "d"]) == GrantedRole("operator", ("acme", "globex"))
    assert granted_role(grants, ["a", "c"]) == GrantedRole("owner", None)
    assert granted_role(grants, ["x"]) is None


@pytest.mark.parametrize("text", ["owner", "=owner", "a=admin", "a=owner,b"])
def test_malformed_role_mapping_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected VALUE=ROLE"):
        parse_grants(text)


def test_claim_may_be_in_an_object() -> None:
    claims = {"realm_access": {"roles": ["a", 1]}, "groups": "b c", "https://x.y/roles": ["d"]}
    assert claim_values(claims, "realm_access.roles") == ["a"]
    assert claim_values(claims, "groups") == ["b", "c"]
    assert claim_values(claims, "https://x.y/roles") == ["d"]
    assert claim_values(claims, "none.at.all") == []
