"""Access tokens of an external issuer, in the shapes of common authorization servers."""

from __future__ import annotations

import hmac
import json
import re
import time
import warnings
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

with warnings.catch_warnings():  # authlib.jose gives way to joserfc
    warnings.simplefilter("ignore")
    from authlib.jose import jwt as authlib_jwt

from lrs.api.routes import ROUTES
from lrs.api.services import Services
from lrs.auth import credentials
from lrs.errors import Conflict, InvalidParameter
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.oauth import AUDIENCE, ISSUER, bearer, encoded, issue
from tests.support.partners import Partner
from tests.support.statements import XAPI, statement

KEY = ECKey.generate_key("P-256", {"kid": "issuer-1"})


class _Absent:
    """The value of a header or claim that is left out; its text is the same in every process."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def token(header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with a valid signature; ABSENT removes a member."""
    head = {"alg": "ES256", "typ": "JWT", "kid": KEY.kid, **(header or {})}
    content = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 60,
        "sub": "someone",
        **claims,
    }
    return jws.serialize_compact(
        {name: value for name, value in head.items() if value is not ABSENT},
        json.dumps({name: value for name, value in content.items() if value is not ABSENT}),
        KEY,
        ["ES256"],
    )


@pytest.fixture(scope="module")
async def trusting(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """A server that accepts the tokens of the issuer."""
    path = tmp_path_factory.mktemp("issuer") / "jwks.json"
    path.write_text(json.dumps(KeySet([KEY]).as_dict(private=False)))
    changes = {"oauth_issuer": ISSUER, "oauth_jwks": str(path), "oauth_audience": AUDIENCE}
    async with serving(replace(settings, **changes)) as http:
        yield http


async def read(http: httpx.AsyncClient, sent: str) -> int:
    answer = await http.get("/xapi/statements", headers=XAPI | bearer(sent))
    if answer.status_code == 403:
        assert answer.json()["code"] == "missing-scope"
    return answer.status_code


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "statements/read"},
        {"scope": "openid statements/read profile"},
        {"scope": ["statements/read", "openid"]},
        {"scp": "statements/read openid"},
        {"scp": ["statements/read"]},
        {"scope": "api"},
        {"scope": ["api"]},
    ],
    ids=str,
)
async def test_scope_is_read_from_a_string_or_array(
    trusting: httpx.AsyncClient, partner: Partner, claims: dict[str, Any]
) -> None:
    assert await read(trusting, token(client_id=partner.key, **claims)) == 200


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"scope": None},
        {"scope": ""},
        {"scope": 7},
        {"scope": True},
        {"scope": []},
        {"scope": ["statements/read", None]},
        {"scope": [["statements/read"]]},
        {"scope": [["all"], "all"]},
        {"scope": {"statements/read": True}},
        {"scope": {"value": "all"}},
        {"scope": "ALL"},
        {"scope": "statements/write"},
        {"scope": ["statements/write"]},
        {"scope": None, "scp": "all"},
        {"scope": "openid", "scp": ["all"]},
        {"scp": None},
        {"scp": 7},
        {"scp": [7]},
        {"scp": ["statements/write"]},
        {"scp": {"all": "all"}},
        {"scopes": "all", "permissions": ["all"], "roles": ["all"]},
    ],
    ids=str,
)
async def test_token_without_a_readable_scope_returns_403(
    trusting: httpx.AsyncClient, partner: Partner, claims: dict[str, Any]
) -> None:
    assert await read(trusting, token(client_id=partner.key, **claims)) == 403


AUTHENTICATED = [
    (method, route.path)
    for route in ROUTES
    for method in sorted(route.methods or ())
    if route.path.startswith(("/v1/", "/xapi/", "/api/v1/"))
    and not re.match("/xapi/about|/v1/partners/.*/(whoami|refusals)", route.path)
]


async def test_token_without_scope_returns_403_on_every_route(
    trusting: httpx.AsyncClient, partner: Partner
) -> None:
    headers = XAPI | bearer(token(client_id=partner.key))
    assert len(AUTHENTICATED) > 50
    for method, path in AUTHENTICATED:
        url = re.sub(r"\{(\w+)[^}]*\}", "user_dim", path.replace("{partner}", partner.name))
        answer = await trusting.request(method, url, headers=headers)
        assert answer.status_code == 403, (method, url, answer.text)


@pytest.mark.parametrize(
    "kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/jwt", ABSENT]
)
async def test_type_of_an_access_token_is_accepted(
    trusting: httpx.AsyncClient, partner: Partner, kind: object
) -> None:
    sent = token({"typ": kind}, client_id=partner.key, scope="all", token_use="access")
    assert await read(trusting, sent) == 200


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        *(
            ({"typ": kind}, {})
            for kind in (
                *("logout+jwt", "id_token", "ID", "dpop+jwt", "secevent+jwt", "client-authn+jwt"),
                *("JWE", "", " ", "jwt ", "none", "null", "at+jwtx"),
            )
        ),
        ({}, {"at_hash": "x"}),
        ({"typ": ABSENT}, {"c_hash": "x", "nonce": "y"}),
        ({}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        ({}, {"token_use": "id"}),
        ({}, {"token_use": None}),
        ({}, {"typ": "ID"}),
        ({}, {"typ": "Refresh"}),
        ({}, {"typ": ["Bearer"]}),
    ],
    ids=str,
)
async def test_token_of_another_type_returns_401(
    trusting: httpx.AsyncClient, partner: Partner, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    assert await read(trusting, token(header, client_id=partner.key, scope="all", **claims)) == 401


HUGE = 10**400
DEEP: Any = "x"
for _ in range(900):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "claims",
    [
        *({"aud": aud} for aud in (None, "", 7, True, {}, {AUDIENCE: 1}, [], [7], [[AUDIENCE]],
                                   [AUDIENCE, 7], [AUDIENCE, None], AUDIENCE + "/")),
        *({"iss": iss} for iss in (None, "", 7, [ISSUER], {}, ISSUER + "/", ISSUER.upper())),
        *({"exp": exp} for exp in (None, "", "9999999999", True, [], {}, float("nan"),
                                   float("inf"), HUGE, -HUGE, -1, 0)),
        *({"nbf": nbf} for nbf in (None, "", "1", True, [], float("nan"), HUGE, 9_999_999_999)),
        *({"iat": iat} for iat in (None, "", "1", True, [], float("nan"), HUGE, 9_999_999_999)),
        *({"client_id": key} for key in (None, "", 7, [], ["x"], {}, True, "no\0body", "\ud800",
                                         "x" * 10_000)),
        {"sub": 7}, {"sub": None}, {"deep": DEEP, "iss": 7},
    ],
    ids=lambda claims: str(claims)[:60],
)  # fmt: skip
async def test_claim_of_a_wrong_type_returns_401(
    trusting: httpx.AsyncClient, partner: Partner, claims: dict[str, Any]
) -> None:
    sent = token(**{"client_id": partner.key, "scope": "all", **claims})
    answer = await trusting.get("/xapi/statements", headers=XAPI | bearer(sent))
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("claim", "offset", "status"),
    [("iat", 30, 200), ("nbf", 30, 200), ("iat", 90, 401), ("nbf", 90, 401), ("exp", -1, 401)],
)
async def test_clock_of_the_issuer_may_be_a_minute_ahead(
    trusting: httpx.AsyncClient, partner: Partner, claim: str, offset: int, status: int
) -> None:
    sent = token(client_id=partner.key, scope="all", **{claim: int(time.time()) + offset})
    assert await read(trusting, sent) == status


async def test_deeply_nested_claim_is_no_internal_error(
    trusting: httpx.AsyncClient, partner: Partner
) -> None:
    sent = token(client_id=partner.key, scope="all", deep=DEEP)
    assert await read(trusting, sent) in (200, 401)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512", "none", "RS256", "EdDSA", "ES512", 7])
@pytest.mark.parametrize("kid", ["issuer-1", ABSENT])
async def test_confused_algorithm_returns_401(
    trusting: httpx.AsyncClient, partner: Partner, alg: Any, kid: Any
) -> None:
    genuine = token({"kid": kid}, client_id=partner.key, scope="all")
    assert await read(trusting, genuine) == 200
    _, claims, signature = genuine.split(".")
    head = {"typ": "JWT", "alg": alg, **({} if kid is ABSENT else {"kid": kid})}
    forgeries = [f"{encoded(head)}.{claims}.{signature}", f"{encoded(head)}.{claims}."]
    if str(alg).startswith("HS"):
        text = f"{encoded(head)}.{claims}"
        digest = f"sha{str(alg)[2:]}"
        for secret in (KEY.as_pem(private=False), json.dumps(KEY.as_dict()).encode(), b""):
            mac = hmac.digest(secret, text.encode(), digest)
            forgeries.append(f"{text}.{encoded(mac)}")
    for forged in forgeries:
        assert await read(trusting, forged) == 401


async def test_token_made_with_authlib_is_accepted(
    trusting: httpx.AsyncClient, partner: Partner
) -> None:
    claims = {"iss": ISSUER, "aud": [AUDIENCE], "exp": int(time.time()) + 60, "scp": ["all"]}
    header = {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}
    sent = authlib_jwt.encode(header, {**claims, "azp": partner.key}, KEY.as_dict(private=True))
    assert await read(trusting, sent.decode()) == 200


# The client


async def test_client_claim_is_configurable(
    settings: Settings, partner: Partner, stranger: Partner, tmp_path: Path
) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KeySet([KEY]).as_dict(private=False)))
    changes = {"oauth_issuer": ISSUER, "oauth_jwks": str(path), "oauth_audience": AUDIENCE}
    configured = replace(settings, **changes, oauth_client_claim="appid")
    async with serving(configured) as http:
        for claims, status in (
            ({"appid": partner.key}, 200),
            ({"appid": partner.key, "client_id": "x", "azp": 7}, 200),
            ({"client_id": partner.key}, 401),
            ({"azp": partner.key}, 401),
            ({"sub": partner.key}, 401),
            ({"appid": None, "client_id": partner.key}, 401),
            ({"appid": [partner.key]}, 401),
        ):
            assert await read(http, token(scope="all", **claims)) == status, claims


async def test_first_client_claim_decides(trusting: httpx.AsyncClient, partner: Partner) -> None:
    key = partner.key
    for claims, status in (
        ({"client_id": "x", "azp": key, "sub": key}, 401),
        ({"client_id": None, "azp": key}, 401),
        ({"azp": "", "sub": key}, 401),
        ({"azp": key, "sub": "x"}, 200),
        ({"sub": key}, 200),
    ):
        assert await read(trusting, token(scope="all", **claims)) == status, claims


@pytest.mark.parametrize(
    "key",
    ["00000003-0000-0000-c000-000000000000", "1234-abc.apps.googleusercontent.com", "~", "A@b_c~d"],
)
async def test_chosen_key_authenticates_by_basic_token_and_external_token(
    services: Services, trusting: httpx.AsyncClient, partner: Partner, key: str
) -> None:
    key = f"{partner.name}{key}"
    issued = await issue(services, partner, key=key)
    assert issued.key == key
    assert await read(trusting, token(azp=key, scope="all")) == 200
    auth = (key, issued.secret)
    form = {"grant_type": "client_credentials"}
    answer = await trusting.post("/oauth2/token", data=form, auth=auth)
    assert await read(trusting, answer.json()["access_token"]) == 200
    sent = statement()
    answer = await trusting.post("/xapi/statements", json=sent, headers=XAPI, auth=auth)
    assert answer.status_code == 200
    (stored,) = await partner.all()
    assert stored["authority"]["account"]["name"] == key


@pytest.mark.parametrize(
    "key", ["", "a:b", "a/b", "a b", "a\0b", "-a", ".a", "é", "a%41", "a+b", "a" * 129, "a\n"]
)
async def test_malformed_key_is_refused(services: Services, partner: Partner, key: str) -> None:
    with pytest.raises(InvalidParameter, match="not a valid key"):
        await issue(services, partner, key=key)


async def test_key_is_unique_over_all_partners(
    services: Services, partner: Partner, stranger: Partner
) -> None:
    issued = await issue(services, partner, key=f"{partner.name}-client")
    for other in (partner, stranger):
        with pytest.raises(Conflict, match="already exists"):
            await issue(services, other, key=issued.key)
    await credentials.rotate_credential(services.database, issued.key, None)
    with pytest.raises(InvalidParameter, match="must not contain a dot"):
        await issue(services, partner, key="a.b", kind="bearer")
