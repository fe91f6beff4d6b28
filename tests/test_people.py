"""Importing people: what becomes of each row, and of what statements said before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import date
from hashlib import sha1
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from conftest import new_partner
from people_support import follow
from support import Partner, statement

from lrs.api import people_import as api
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.people import importer, rows
from lrs.projection import advance, partner_lock, rebuild
from lrs.projection.partner_lock import Changes
from lrs.projection.vocabulary import vocabulary

Json = dict[str, Any]

PAGE = (Path(__file__).parent.parent / "docs" / "reporting.md").read_text(encoding="utf-8")
DOCUMENT = PAGE.partition("## People\n")[2].partition("\n## ")[0]
COURSE = "http://datacamp.com/course/123"
ADA = "ada@example.com"


@pytest.fixture
async def operator(services: Services, http: httpx.AsyncClient) -> Partner:
    """A partner whose credential is an operator's."""
    return await new_partner(services, http, frozenset({scopes.ADMIN}))


async def post(operator: Partner, body: str | list[Json], **params: str) -> httpx.Response:
    headers: dict[str, str] = {}
    content: Json = {"json": body}
    if isinstance(body, str):
        headers, content = {"Content-Type": "text/csv"}, {"content": body.encode()}
    return await operator.http.post(
        operator.url("people/imports"),
        params=params,
        headers=operator.headers | headers,
        **content,
    )


async def take(operator: Partner, *given: Any) -> Json:
    """Imports rows, or a table."""
    answer = await post(operator, _body(given))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def preview(operator: Partner, *given: Any) -> list[Json]:
    answer = await post(operator, _body(given), preview="true")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


async def refused(operator: Partner, *given: Any) -> list[tuple[int, str, str]]:
    """The rows that are refused, with the columns and details, as their preview says, too."""
    answer = await post(operator, list(given))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-import")
    results = answer.json()["results"]
    expected = (await post(operator, list(given), preview="true")).json()["results"]
    assert results == [each for each in expected if each["outcome"] == "refused"]
    return [
        (each["index"], error["pointer"], error["detail"])
        for each in results
        for error in each["errors"]
    ]


def _body(given: tuple[Any, ...]) -> str | list[Json]:
    return given[0] if isinstance(given[0], str) else list(given)


def outcomes(answer: Json) -> list[str]:
    return [each["outcome"] for each in answer["results"]]


def user(name: str, **columns: Any) -> Json:
    return {"type": "user", "user": name, **columns}


def identifier(name: str, kind: str, value: str, **columns: Any) -> Json:
    return {"type": "identifier", "user": name, "kind": kind, "value": value, **columns}


def membership(name: str, first: str, last: str | None = None, **columns: Any) -> Json:
    return {"type": "membership", "user": name, "from": first, "to": last, **columns}


GROUP = {"type": "group", "organization": "north", "title": "Region North"}
TEAM = {"type": "team", "team": "analytics", "name": "Analytics"}


# What becomes of rows


async def test_the_example_is_taken_once(operator: Partner) -> None:
    (example,) = re.findall(r"```csv\n(.*?)```", DOCUMENT, re.DOTALL)
    lines = len(example.splitlines()) - 1
    expected = await preview(operator, example)
    assert {each["outcome"] for each in expected} == {"added"}
    taken = await take(operator, example)
    assert taken["results"] == expected
    assert taken["summary"] == {"received": lines, "added": lines}
    again = await take(operator, example)
    assert again["summary"] == {"received": lines, "unchanged": lines}


async def test_a_long_table_is_written_some_rows_at_a_time(
    operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes no more than a quarter of a GB of JSON at once."""
    monkeypatch.setattr(importer, "_ROWS", 2)
    given = [GROUP, *(user(name, email=f"{name}@example.com") for name in "abcde")]
    given += [membership(name, "2026-01-01", organization="north") for name in "abcde"]
    assert (await take(operator, *given))["summary"] == {"received": 11, "added": 11}
    assert (await take(operator, *given))["summary"] == {"received": 11, "unchanged": 11}


async def test_a_request_has_only_so_many_rows(
    operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_MOST_ROWS", 2)
    assert (await post(operator, "type,user\nuser,a\nuser,b\n")).status_code == 200
    for body in ("type,user\nuser,a\nuser,b\nuser,c\n", [user(each) for each in "abc"]):
        answer = await post(operator, body)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_every_kind_has_its_columns_in_the_documentation() -> None:
    for kind in rows.KINDS:
        (line,) = re.findall(rf"^\| `{kind}` \| (.*?) \|", DOCUMENT, re.MULTILINE)
        assert ("type", *re.findall(r"`(\w+)`", line)) == rows.columns(kind)


async def test_rows_may_stand_in_any_order(operator: Partner) -> None:
    given = [
        membership("ada", "2026-01-01", team="analytics"),
        TEAM | {"organization": "north"},
        identifier("ada", "track", "7f0c"),
        GROUP,
        user("ada"),
    ]
    assert set(outcomes(await take(operator, *given))) == {"added"}


async def test_a_cell_clears_and_a_missing_column_leaves(operator: Partner) -> None:
    await take(operator, user("ada", email=ADA, first_name="Ada"))
    answer = await take(operator, "type,user,last_name\nuser,ada,Lovelace\n")
    assert answer["results"][0]["outcome"] == "changed"
    assert answer["results"][0]["changes"] == ["last_name"]
    answer = await take(operator, "type,user,first_name,email\nuser,ada,,ada@example.com\n")
    assert answer["results"][0]["changes"] == ["first_name"]
    (answer,) = await preview(operator, user("ada", first_name=None, last_name="Lovelace"))
    assert answer["outcome"] == "unchanged"


async def test_columns_without_name_or_cells_do_not_count(operator: Partner) -> None:
    """As spreadsheets like to write them."""
    answer = await take(operator, "\ufefftype,user,,\r\nuser,ada,,\r\n,,,\r\n")
    assert outcomes(answer) == ["added"]
    ((index, pointer, _),) = [
        (each["index"], error["pointer"], error["detail"])
        for each in await preview(operator, "type,user,,\nuser,ada,,x\n")
        for error in each["errors"]
    ]
    assert (index, pointer) == (0, "/")


async def test_the_same_row_twice_counts_once(operator: Partner) -> None:
    answer = await take(operator, user("ada", email=ADA), user("ada", email=ADA))
    assert outcomes(answer) == ["added", "unchanged"]


async def test_every_wrong_row_is_named_by_line_and_column(operator: Partner) -> None:
    table = """type,user,email,from,organization
user,ada,ada@example.com
user,"two
lines",nobody
membership,ada,,2026-02-30,north
robot,x
user,ben,ben@example.com,,,surplus
group
"""
    answer = await post(operator, table)
    told = [
        (each["line"], each["type"], error["pointer"], error["detail"])
        for each in answer.json()["results"]
        for error in each["errors"]
    ]
    assert [each[:3] for each in told] == [
        (3, "user", "/email"),
        (3, "user", "/user"),
        (5, "membership", "/from"),
        (6, None, "/type"),
        (7, "user", ""),
        (8, "group", "/organization"),
    ]
    assert told[0][3] == (
        'expected an email address such as learner@example.com, or nothing, found "nobody"'
    )
    assert told[-1][3].endswith(", found nothing")
    assert answer.json()["detail"].startswith("line 3, email: expected an email address")
    assert answer.json()["detail"].endswith("(and 4 more rows)")
    # The good ones were not imported.
    assert (await preview(operator, user("ada", email=ADA)))[0]["outcome"] == "added"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("", "'type' is missing among the columns"),
        ("type,user,User\n", '"User" is not a column of an import'),
        ("type,user,user\n", '"user" must be a column only once'),
        ('type,user\nuser,"ada\n', "cannot be read from line 2 on"),
    ],
)
async def test_a_table_that_cannot_be_read(operator: Partner, table: str, told: str) -> None:
    answer = await post(operator, table)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-import")
    assert told.replace("'", '"') in answer.json()["detail"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            [user("ada"), user("ada", email=ADA)],
            (1, "/email", "expected no other than in row 0, which is about the same"),
        ),
        (
            [user("ada", email=ADA), user("ben"), identifier("ben", "mbox", f"mailto:{ADA}")],
            (2, "/value", "expected an identifier of one user only, found that of "
             '"ada" in row 0'),
        ),
        (
            [identifier("nobody", "track", "x")],
            (0, "/user", 'expected a user that is known or has a row, found "nobody"'),
        ),
        (
            [user("ada"), membership("ada", "2026-01-01", organization="north")],
            (1, "/organization", 'expected a group that is known or has a row, found "north"'),
        ),
        (
            [user("ada"), membership("ada", "2026-01-01")],
            (1, "/team", "expected either a team or an organization"),
        ),
        (
            [user("ada"), GROUP, membership("ada", "2026-01-02", "2026-01-01",
                                            organization="north")],
            (2, "/to", 'expected no day before "2026-01-02", found "2026-01-01"'),
        ),
        (
            [user("ada"), identifier("ada", "account", "x")],
            (1, "", 'the member "home_page" is missing'),
        ),
        (
            [user("ada"), identifier("ada", "track", "x", home_page="http://example.com")],
            (1, "/home_page", "expected nothing, since only an account has a home page, found "
             '"http://example.com"'),
        ),
        (
            [user("ada"), {"type": "assignment", "assignment": "a", "assignment_type": "course",
             "assignee_type": "team", "assignee": "ada", "content": COURSE}],
            (1, "/assignee", 'expected a team that is known or has a row, found "ada"'),
        ),
        ([user("ada", email=f"mailto:{ADA}")], (0, "/email", "expected an email address such as")),
        ([user("a" * 256)], (0, "/user", "expected a text of 1 to 255 characters")),
        ([user("a\0")], (0, "/user", "expected a text of 1 to 255 characters")),
        (["user"], (0, "", 'expected a row (an object), found "user"')),
    ],
)  # fmt: skip
async def test_a_row_that_is_refused(
    operator: Partner, given: list[Any], expected: tuple[int, str, str]
) -> None:
    (told,) = await refused(operator, *given)
    assert told[:2] == expected[:2]
    assert told[2].startswith(expected[2])


# Memberships


async def test_memberships_of_one_group_do_not_overlap(operator: Partner) -> None:
    await take(operator, user("ada"), GROUP, membership("ada", "2026-01-01", organization="north"))
    rejoined = membership("ada", "2026-01-04", organization="north")
    (told,) = await refused(operator, rejoined)
    assert told == (
        0,
        "/from",
        "expected no day of another membership of the same, which lasts from 2026-01-01 on",
    )
    left = membership("ada", "2026-01-01", "2026-01-03", organization="north")
    assert outcomes(await take(operator, rejoined, left)) == ["added", "changed"]
    within = membership("ada", "2025-12-01", "2026-01-02", organization="north")
    assert len(await refused(operator, within)) == 1


async def test_a_membership_of_no_day_is_taken_back(operator: Partner) -> None:
    joined = membership("ada", "2026-01-01", team="analytics")
    await take(operator, user("ada"), TEAM, joined)
    nothing = joined | {"to": joined["from"]}
    assert outcomes(await take(operator, nothing)) == ["removed"]
    assert outcomes(await take(operator, nothing)) == ["unchanged"]
    assert outcomes(await take(operator, joined)) == ["added"]


async def days(services: Services, operator: Partner) -> list[date]:
    found = await services.database.readers.fetch(
        "select day from learner_day where partner_id = $1 order by day", operator.partner_id
    )
    return [row["day"] for row in found]


async def test_facts_are_of_days_on_which_the_learner_belonged(
    services: Services, operator: Partner
) -> None:
    """The example of the vendor's document."""
    for day in (2, 3, 5):
        sent = statement(actor={"mbox": f"mailto:{ADA}"}, timestamp=f"2026-01-0{day}T12:00:00Z")
        assert (await operator.send(sent, organization="north")).status_code == 200
    await follow(services, operator)
    assert len(await days(services, operator)) == 3
    joined = membership("ada", "2026-01-01", "2026-01-03", organization="north")
    rejoined = membership("ada", "2026-01-04", organization="north")
    await take(operator, user("ada", email=ADA), joined, rejoined)
    assert await days(services, operator) == [date(2026, 1, 2), date(2026, 1, 5)]
    await take(operator, *(each | {"to": each["from"]} for each in (joined, rejoined)))
    assert len(await days(services, operator)) == 3


# Identifiers


async def records(operator: Partner, name: str) -> set[str] | None:
    """The contents that a learner has records of; None if there is no such learner."""
    answer = await operator.http.get(
        operator.url(f"learners/{name}/records"), headers=operator.headers
    )
    if answer.status_code == 404:
        return None
    return {each["activity_id"].rpartition("/")[2] for each in answer.json()["records"]}


async def tell(services: Services, operator: Partner, **actors: Json) -> None:
    """Each actor completes the content that is named."""
    for name, actor in actors.items():
        sent = statement(actor=actor, object={"id": f"http://example.com/{name}"})
        assert (await operator.send(sent)).status_code == 200
    await follow(services, operator)


def account(name: str, home_page: str = "https://www.datacamp.com") -> Json:
    return {"account": {"homePage": home_page, "name": name}}


async def id_of(operator: Partner, name: str) -> int:
    answer = await operator.http.get(
        operator.url(f"learners/{name}/records"), headers=operator.headers
    )
    return int(answer.json()["learner"]["user_id"])


async def test_identifiers_of_one_user_are_one_learner(
    services: Services, operator: Partner
) -> None:
    await tell(services, operator, one={"mbox": f"mailto:{ADA}"}, two=account("ada"),
               three=account("7f0c", operator.home_page))  # fmt: skip
    person_ids = [await id_of(operator, name) for name in (ADA, "ada", "7f0c")]
    await take(
        operator,
        user("emp_1", email=ADA),
        identifier("emp_1", "account", "ada", home_page="https://www.datacamp.com"),
        identifier("emp_1", "track", "7f0c"),
    )
    for name in ("emp_1", ADA, "ada", "7f0c"):
        assert await records(operator, name) == {"one", "two", "three"}
    # The reports go on calling the learner what they called the one with the lowest id.
    assert await id_of(operator, "emp_1") == min(person_ids)
    left = await services.database.readers.fetchval(
        "select count(*) from person where partner_id = $1", operator.partner_id
    )
    assert left == 1


async def test_an_identifier_moves_with_all_that_was_told_of_it(
    services: Services, operator: Partner
) -> None:
    await tell(services, operator, one={"mbox": f"mailto:{ADA}"}, two=account("shared"))
    shared = {"home_page": "https://www.datacamp.com"}
    await take(operator, user("ada", email=ADA), identifier("ada", "account", "shared", **shared))
    assert await records(operator, "ada") == {"one", "two"}
    answer = await take(operator, user("ben"), identifier("ben", "account", "shared", **shared))
    assert outcomes(answer) == ["added", "changed"]
    assert await records(operator, "ada") == {"one"}
    assert await records(operator, "ben") == {"two"}
    await tell(services, operator, three=account("shared"))
    assert await records(operator, "ben") == {"two", "three"}


async def test_an_address_brings_its_digest_along(services: Services, operator: Partner) -> None:
    digest = sha1(f"mailto:{ADA}".encode()).hexdigest()
    await tell(services, operator, one={"mbox_sha1sum": digest})
    await take(operator, user("ada", email=ADA))
    assert await records(operator, "ada") == {"one"}
    # It goes where the address goes,
    await take(operator, user("ada", email=None), user("ben", email=ADA))
    assert (await records(operator, "ada"), await records(operator, "ben")) == (set(), {"one"})
    # unless an import gives it to somebody by itself.
    await take(operator, identifier("ada", "mbox_sha1sum", digest.upper()))
    await take(operator, user("ben", email=ADA))
    assert (await records(operator, "ada"), await records(operator, "ben")) == ({"one"}, set())


async def test_people_and_their_names_stay_within_the_partner(
    services: Services, operator: Partner, http: httpx.AsyncClient
) -> None:
    other = await new_partner(services, http, frozenset({scopes.ADMIN}))
    await take(operator, user("ada", email=ADA))
    assert await records(other, "ada") is None
    answer = await operator.http.post(
        other.url("people/imports"), json=[], headers=operator.headers
    )
    assert answer.status_code == 403


async def test_the_scope_is_needed(partner: Partner) -> None:
    answer = await post(partner, [])
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")


async def shown(services: Services, operator: Partner) -> list[list[Any]]:
    """All records and facts, by the names of users and contents."""
    found = []
    for table, columns in (
        ("learner_record", "organization, status, last_activity_at, attempts"),
        ("learner_day", "day, started_at, completed_at"),
    ):
        rows_found = await services.database.readers.fetch(
            f"select person.name, activity_id, {columns} from {table}"
            " join person using (partner_id, person_id) join content using (partner_id, content_id)"
            " where partner_id = $1 order by 1, 2, 3",
            operator.partner_id,
        )
        found.append([tuple(row) for row in rows_found])
    return found


async def test_it_does_not_matter_when_an_import_comes(
    services: Services, http: httpx.AsyncClient
) -> None:
    """Before what statements tell, in the midst of it, or after; nor do the reports made anew."""
    digest = sha1(f"mailto:{ADA}".encode()).hexdigest()
    actors = [{"mbox": f"mailto:{ADA}"}, {"mbox_sha1sum": digest}, account("ada"), account("ben")]
    told = [
        statement(actor=actor, timestamp=f"2026-01-0{day}T12:00:00Z", object={"id": COURSE})
        for day, actor in enumerate(actors * 2, start=1)
    ]
    home = {"home_page": "https://www.datacamp.com"}
    given = [
        GROUP,
        user("ada", email=ADA),
        user("ben"),
        identifier("ada", "account", "ada", **home),
        identifier("ben", "account", "ben", **home),
        membership("ada", "2026-01-02", "2026-01-06", organization="north"),
    ]
    expected = None
    for place in range(0, len(told) + 1, 2):
        operator = await new_partner(services, http, frozenset({scopes.ADMIN}))
        for number, sent in enumerate([*told, None]):
            if number == place:
                await follow(services, operator)
                await take(operator, *given)
            if sent:
                assert (await operator.send(sent, organization="north")).status_code == 200
        await follow(services, operator)
        found = await shown(services, operator)
        expected = expected or found
        assert found == expected
        await rebuild.rebuild_partner(services.database, operator.partner_id, vocabulary())
        assert await shown(services, operator) == expected
    assert len(expected[0]) == 2
    assert [row[0] for row in expected[1]] == ["ada"] * 3 + ["ben"] * 2


# Assignments


async def test_what_is_assigned_need_not_have_been_worked_on(
    services: Services, operator: Partner
) -> None:
    given = [
        {"type": "assignment", "assignment": f"a-{number}", "assignment_type": "course",
         "assignee_type": kind, "assignee": assignee, "content": content,
         "due_at": "2026-06-30T22:00:00+02:00", "xp": 1000.5, "created_by": "ada"}
        for number, (kind, assignee, content) in enumerate([
            ("user", "ada", COURSE), ("team", "analytics", "ext-101"), ("group", "north", COURSE),
        ])
    ]  # fmt: skip
    xp = {**given[0], "assignment": "a-xp", "assignment_type": "xp", "content": None}
    answer = await take(operator, user("ada"), TEAM, GROUP, *given, xp)
    assert set(outcomes(answer)) == {"added"}
    assert set(outcomes(await take(operator, *given, xp))) == {"unchanged"}
    changed = await take(operator, given[1] | {"status": "archived", "content": COURSE})
    assert changed["results"][0]["changes"] == ["content", "status"]
    await tell(services, operator, one={"mbox": f"mailto:{ADA}"})
    assert set(outcomes(await take(operator, given[0], xp))) == {"unchanged"}


# Many rows, and many at once


def many(number: int) -> list[Json]:
    each = range(number)
    return [
        GROUP,
        TEAM,
        *(user(f"emp_{n}", email=f"emp_{n}@example.com") for n in each),
        *(identifier(f"emp_{n}", "track", f"track {n}") for n in each),
        *(membership(f"emp_{n}", "2026-01-01", organization="north") for n in each),
        *(membership(f"emp_{n}", "2026-01-01", team="analytics") for n in each),
    ]


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[tuple[asyncpg.Pool, list[str]]]:
    noted: list[str] = []

    async def note(connection: Any) -> None:
        connection.add_query_logger(lambda record: noted.append(record.query))

    async with asyncpg.create_pool(database_url, min_size=1, max_size=1, init=note) as pool:
        yield pool, noted


async def test_round_trips_do_not_depend_on_the_rows(
    counted: tuple[asyncpg.Pool, list[str]], services: Services, http: httpx.AsyncClient
) -> None:
    pool, noted = counted
    took = []
    for number in (1, 2, 200):
        partner = await new_partner(services, http)
        noted.clear()
        made = await importer.take(
            Changes(pool), partner.partner_id, "http://x", list(rows.read_json(many(number)))
        )
        assert not made.refused
        took.append(len(noted))
    assert took[1] == took[2] <= 40


async def test_an_import_waits_for_the_projection_only_so_long(
    services: Services, operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partner_lock, "PATIENCE_SECONDS", 0.05)
    async with services.database.readers.acquire() as other, other.transaction():
        await advance.lock(other, operator.partner_id)
        answer = await post(operator, [user("ada")])
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "30"
        assert (await preview(operator, user("ada")))[0]["outcome"] == "added"
    assert outcomes(await take(operator, user("ada"))) == ["added"]


async def test_an_import_waits_for_another_change_only_so_long(
    services: Services, operator: Partner, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whosever that is: a worker makes one after the other."""
    monkeypatch.setattr(partner_lock, "PATIENCE_SECONDS", 0.05)
    async with services.changes.of(partner.partner_id):
        answer = await post(operator, [user("ada")])
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "30"
    assert outcomes(await take(operator, user("ada"))) == ["added"]


async def test_imports_at_the_same_time_do_not_double(operator: Partner) -> None:
    answers = await asyncio.gather(*(post(operator, many(5)) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    added = sorted(answer.json()["summary"].get("added", 0) for answer in answers)
    assert added == [0, 0, 0, 22]
