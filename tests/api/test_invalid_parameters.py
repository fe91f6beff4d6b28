"""Invalid path segments and query parameters."""

from __future__ import annotations

import pytest

from tests.support.invalid_input import EVENT, check, get
from tests.support.partners import Partner
from tests.support.statements import XAPI, statement

# Paths


@pytest.mark.parametrize(
    "name",
    [
        "%00",
        "a%00b",
        "%0A",
        "%1B%5B31m",
        "%7F",
        "%C2%85",
        "%E2%80%AE",
        "x" * 256,
        "%C3%A4" * 256,
        "%F0%9F%98%80" * 256,
    ],
)
@pytest.mark.parametrize("resource", ["statements", "track"])
async def test_invalid_organization_is_refused(partner: Partner, resource: str, name: str) -> None:
    good = statement() if resource == "statements" else EVENT
    answers = [await partner.send(good, resource=resource, organization=name)]
    if resource == "statements":
        answers.append(await partner.get(name))
    for answer in answers:
        check(answer)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert await partner.all() == []


@pytest.mark.parametrize("name", ["%FF", "%C3", "%ED%A0%80", "%", "%zz", "..%2F..", "a%2Fb", "%2e"])
async def test_malformed_path_gets_a_proper_response(partner: Partner, name: str) -> None:
    for path in (
        partner.url("statements", name),
        f"/v1/partners/{name}/statements",
        f"/xapi/{name}",
        f"/{name}",
        f"/schemas/{name}",
        f"/docs/{name}",
    ):
        answer = await partner.http.get(path, headers={**XAPI, **partner.headers})
        check(answer)


@pytest.mark.parametrize("length", [255])
async def test_longest_organization_is_accepted(partner: Partner, length: int) -> None:
    # Letters outside the first plane, that do not compress: the most bytes that a name can have.
    name = "".join(chr(0x10000 + number * 7919 % 60_000) for number in range(length))
    name = "".join(letter if letter.isprintable() else "\U0001f600" for letter in name)
    answer = await partner.http.post(
        partner.url("statements", name), json=statement(), headers=partner.headers
    )
    assert answer.status_code == 200, answer.text
    result = await partner.http.get(partner.url("statements", name), headers=partner.headers)
    assert [item["id"] for item in result.json()["statements"]] == answer.json()


# Parameters


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (
            "since=2016-07-12T15:33:18.656000+00:00",
            "since must be an ISO 8601 timestamp with an offset, found "
            '"2016-07-12T15:33:18.656000 00:00"; a + in a URL stands for a blank: send %2B.',
        ),
        (
            "activity=http://example.com/a+b",
            'activity must be an IRI with a scheme, found "http://example.com/a b"; a + in a URL '
            "stands for a blank: send %2B.",
        ),
        (
            'agent={"mbox":"mailto:a+b@c.d"}',
            "agent must be an Agent or identified Group: /mbox expected a mailto IRI such as "
            'mailto:learner@example.com, found "mailto:a b@c.d", found '
            '"{\\"mbox\\":\\"mailto:a b@c.d\\"}"; a + in a URL stands for a blank: send %2B.',
        ),
        ("format=xml", 'format must be ids, exact or canonical, found "xml".'),
        (
            "Limit=1",
            "Limit is not a parameter of this resource; the parameter limit is similar.",
        ),
        ("whatever=1", "whatever is not a parameter of this resource."),
    ],
)
async def test_refusal_names_the_value_and_the_likely_cause(
    partner: Partner, query: str, detail: str
) -> None:
    response = await get(partner, query, "xapi")
    assert (response.status_code, response.json()["detail"]) == (400, detail)


@pytest.mark.parametrize(
    "query",
    [
        "limit=2147483648",
        "limit=99999999999999999999",
        "ascending=True",
        "attachments=False",
        "related_agents=TRUE",
        "cachebuster=1700000000000",
    ],
)
@pytest.mark.parametrize("interface", ["statements", "xapi"])
async def test_spellings_of_real_clients_are_accepted(
    partner: Partner, interface: str, query: str
) -> None:
    assert (await get(partner, query, interface)).status_code == 200


async def test_parameters_of_a_post_are_named(partner: Partner) -> None:
    response = await partner.http.post(
        "/xapi/statements?foo=bar",
        json=statement(),
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["foo"]


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("limit=-1", ["limit"]),
        ("limit=1e3", ["limit"]),
        ("limit=%C2%B2", ["limit"]),
        ("limit=1.0", ["limit"]),
        ("limit=1&limit=1", ["limit"]),
        ("statementId=x", ["statementId"]),
        ("statementId=%00", ["statementId"]),
        ("voidedStatementId=1", ["voidedStatementId"]),
        ("agent=x", ["agent"]),
        ("agent=%7B%7D", ["agent"]),
        ("agent=[]", ["agent"]),
        ("agent=null", ["agent"]),
        ("agent=%7B%22mbox%22:%22mailto:a@b.c%22,%22mbox%22:%22mailto:a@b.c%22%7D", ["agent"]),
        ("agent=%7B%22mbox%22:%22mailto:a%5Cu0000@b.c%22%7D", ["agent"]),
        ("agent=" + "[" * 2000, ["agent"]),
        ("agent=%7B%22objectType%22:%22Group%22,%22member%22:[]%7D", ["agent"]),
        ("verb=completed", ["verb"]),
        ("verb=", ["verb"]),
        ("activity=x", ["activity"]),
        ("registration=1", ["registration"]),
        ("related_agents=yes", ["related_agents"]),
        ("related_activities=1", ["related_activities"]),
        ("since=yesterday", ["since"]),
        ("since=2026-02-30T00:00:00Z", ["since"]),
        ("until=2026-01-01", ["until"]),
        ("until=0000-01-01T00:00:00Z", ["until"]),
        ("until=99999-01-01T00:00:00Z", ["until"]),
        ("format=xml", ["format"]),
        ("attachments=maybe", ["attachments"]),
        ("ascending=0", ["ascending"]),
        ("cursor=", ["cursor"]),
        ("cursor=x", ["cursor"]),
        ("cursor=1.x", ["cursor"]),
        ("cursor=-1.6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=%C2%B2.6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=" + "9" * 30 + ".6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=" + "9" * 5000 + ".6690e6c9-3ef0-4ed3-8b37-7f3964730bee", ["cursor"]),
        ("cursor=1.6690e6c9-3ef0-4ed3-8b37-7f3964730bee%00", ["cursor"]),
        ("StatementId=x", ["StatementId"]),
        ("%00=%00", ["\0"]),
        ("=", [""]),
        ("a=1&limit=x&b=2", ["a", "limit", "b"]),
    ],
)
@pytest.mark.parametrize("interface", ["statements", "xapi"])
async def test_invalid_parameter_is_reported(
    partner: Partner, interface: str, query: str, at: list[str]
) -> None:
    answer = await get(partner, query, interface)
    check(answer)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter"), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == at
    assert "  " not in answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "since=0001-01-01T00:00:00Z",
        "since=9999-12-31T23:59:59.999999Z",
        "until=0001-01-01T00:00:00Z",
        "until=9999-12-31T23:59:59.9999999Z",
        "verb=a:%EF%BF%BD",
        "verb=http://example.com/%2500",
        "limit=0",
        "",
        "&&",
    ],
)
async def test_extreme_parameter_values_return_200(partner: Partner, query: str) -> None:
    await partner.send(statement())
    for order in ("", "&ascending=true"):
        answer = await get(partner, query + order)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("query", ["%FF=1", "verb=%FF", "verb=%ED%A0%80", "verb=%", "agent=%zz"])
async def test_malformed_percent_encoding_returns_400(partner: Partner, query: str) -> None:
    answer = await get(partner, query)
    check(answer)
    answer = await partner.http.post(
        f"{partner.url('statements')}?{query}", json=statement(), headers=partner.headers
    )
    check(answer)
    assert answer.status_code == 400
