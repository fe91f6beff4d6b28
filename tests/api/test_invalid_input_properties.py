"""Any body, parameter, path or header gets a proper response."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.invalid_input import EVENT, INTERFACES, check, post, url
from tests.support.partners import Partner
from tests.support.statements import XAPI
from tests.support.strategies import EDGE_CASES, json_values, mutated, statements, texts

MANY = settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
tokens = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        '"id"',
        '"actor"',
        "null",
        "true",
        "1e99",
        "-",
        "0",
        "\\u",
        " ",
    ]
)
bodies = st.one_of(
    st.binary(max_size=64),
    st.lists(tokens, max_size=12).map(lambda parts: "".join(parts).encode()),
    json_values().map(lambda value: json.dumps(value).encode()),
    mutated(statements("1.0.3")).map(lambda value: json.dumps(value).encode()),
    st.lists(mutated(statements("2.0.0")), max_size=3).map(
        lambda value: json.dumps(value).encode()
    ),
    mutated(st.fixed_dictionaries({name: st.just(value) for name, value in EVENT.items()})).map(
        lambda value: json.dumps(value).encode()
    ),
)
header_values = st.sampled_from(
    ["application/json", "text/plain", "multipart/mixed; boundary=x", "multipart/mixed", ""]
)


@MANY
@given(body=bodies, content_type=header_values, interface=st.sampled_from(INTERFACES))
async def test_any_body_gets_a_proper_response(
    partner: Partner, body: bytes, content_type: str, interface: str
) -> None:
    response = await post(partner, interface, body, {"Content-Type": content_type})
    check(response)


@MANY
@given(
    body=bodies,
    content_type=st.sampled_from(["application/json", "application/x-www-form-urlencoded"]),
)
async def test_any_token_request_gets_an_oauth_error(
    partner: Partner, body: bytes, content_type: str
) -> None:
    for auth in (httpx.Auth(), httpx.BasicAuth(partner.key, partner.secret)):
        response = await partner.http.post(
            "/oauth2/token", content=body, headers={"Content-Type": content_type}, auth=auth
        )
        assert response.status_code in (400, 401)
        assert response.json()["error"]


names = st.sampled_from(
    ["statementId", "voidedStatementId", "agent", "verb", "activity", "registration", "since", "x"]
) | st.sampled_from(
    ["until", "limit", "format", "cursor", "ascending", "attachments", "related_agents", "limit"]
)
values = st.one_of(
    texts(),
    st.sampled_from([value for value in EDGE_CASES if isinstance(value, str) and len(value) < 100]),
    st.sampled_from(
        ["true", "0", "1", "ids", "canonical", "1.6690e6c9-3ef0-4ed3-8b37-7f3964730bee"]
    ),
    json_values().map(json.dumps),
)


@MANY
@given(
    parameters=st.lists(st.tuples(names | texts(), values), max_size=4),
    interface=st.sampled_from(["statements", "xapi"]),
)
async def test_any_parameters_get_a_proper_response(
    partner: Partner, parameters: list[tuple[str, str]], interface: str
) -> None:
    response = await partner.http.get(
        url(partner, interface),
        params=httpx.QueryParams([*parameters]),
        headers={**XAPI, **partner.headers},
    )
    check(response)
    assert response.status_code in (200, 400, 404)


@MANY
@given(
    path=st.lists(texts(), max_size=5),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "X"]),
)
async def test_any_path_gets_a_proper_response(
    partner: Partner, path: list[str], method: str
) -> None:
    for prefix in ("", "/xapi", "/v1/partners", f"/v1/partners/{partner.name}/organizations"):
        target = "/".join([prefix, *(quote(part, safe="") for part in path)])
        response = await partner.http.request(
            method, f"http://lrs.test{target}", headers={**XAPI, **partner.headers}
        )
        check(response)


@MANY
@given(value=st.binary(max_size=40).filter(lambda raw: not {10, 13} & set(raw)))
async def test_any_header_gets_a_proper_response(partner: Partner, value: bytes) -> None:
    for name in ("Authorization", "X-Experience-API-Version", "Accept-Language", "If-None-Match"):
        headers: Any = {**XAPI, **partner.headers, "X-Request-ID": value, name: value}
        for target in ("/xapi/statements?format=canonical", partner.url("statements")):
            response = await partner.http.get(target, headers=headers)
            check(response)
