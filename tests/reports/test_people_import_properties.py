"""People import: properties of any table, array and import."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from datetime import date
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrs.api.services import Services
from lrs.errors import InvalidImport
from lrs.people import checks, importer, rows
from lrs.people.checks import StoredPeople
from lrs.projection.partner_lock import PartnerLock
from tests.support.examples import examples
from tests.support.people_import import COURSE, user

Json = dict[str, Any]

HOME = "http://home.example"

texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9
).filter(lambda text: text == text.strip())
names = st.sampled_from(["a", "b", "c"])
day = st.dates(date(2026, 1, 1), date(2026, 1, 9)).map(date.isoformat)
maybe_text = st.none() | texts

users = st.fixed_dictionaries(
    {"type": st.just("user"), "user": names},
    optional={
        "email": st.none() | st.sampled_from(["a@x.example", "b@x.example"]),
        "first_name": maybe_text,
        "slug": maybe_text,
    },
)
identifiers = st.fixed_dictionaries(
    {
        "type": st.just("identifier"),
        "user": names,
        "kind": st.sampled_from(["track", "mbox"]),
        "value": st.sampled_from(["a@x.example", "c@x.example"]),
    }
)
groups = st.fixed_dictionaries(
    {"type": st.just("group"), "organization": names}, optional={"title": maybe_text}
)
teams = st.fixed_dictionaries(
    {"type": st.just("team"), "team": names, "name": texts},
    optional={"organization": st.none() | names, "created_date": st.none() | day},
)
memberships = st.fixed_dictionaries(
    {"type": st.just("membership"), "user": names, "from": day},
    optional={"to": st.none() | day, "team": names, "organization": names},
)
assignments = st.fixed_dictionaries(
    {
        "type": st.just("assignment"),
        "assignment": names,
        "assignment_type": st.just("course"),
        "assignee_type": st.sampled_from(["user", "team", "group"]),
        "assignee": names,
        "content": st.sampled_from([COURSE, "x"]),
    },
    optional={"xp": st.none() | st.integers(0, 100), "organization": st.none() | names},
)
imports = st.lists(
    st.one_of(users, identifiers, groups, teams, memberships, assignments), max_size=12
)
EVERYTHING = [
    *(user(name) for name in "abc"),
    *({"type": "group", "organization": name} for name in "abc"),
    *({"type": "team", "team": name, "name": name} for name in "abc"),
]


@given(st.lists(st.one_of(users, identifiers, groups, teams, memberships, assignments)))
def test_csv_table_is_parsed_like_the_json_array(documents: list[Json]) -> None:
    """The table has all used columns, so that null and an absent member are the same."""
    columns = list(dict.fromkeys(["type", *(name for item in documents for name in item)]))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns)
    table.writeheader()
    table.writerows(documents)
    complete = [
        dict.fromkeys(name for name in columns if name in rows.ROWS.columns(item["type"])) | item
        for item in documents
    ]
    parsed = list(rows.read_json(complete))
    read = list(rows.ROWS.read_csv(text.getvalue()).rows)
    assert [(item.kind, item.values) for item in read] == [
        (item.kind, item.values) for item in parsed
    ]
    assert [pointers(item) for item in read] == [pointers(item) for item in parsed]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for table in (text, f"type,user,email,from,xp\n{text}", f"type,user\nuser,{text}"):
        with suppress(InvalidImport):
            for row in rows.ROWS.read_csv(table).rows:
                assert row.violations or rows.ROWS.columns(row.kind)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(
        anything
        | st.builds(
            lambda kind, values: {"type": kind, **values},
            st.sampled_from(rows.KINDS),
            st.dictionaries(
                st.sampled_from(
                    [name for kind in rows.KINDS for name in rows.ROWS.columns(kind)[1:]]
                ),
                anything,
            ),
        )
    )
)
def test_any_array_is_parsed(values: list[Any]) -> None:
    read = list(rows.read_json(values))
    assert [row.index for row in read] == list(range(len(values)))
    checks.violations(read, StoredPeople(HOME))


def pointers(row: rows.Row) -> list[str]:
    return [item.pointer for item in row.violations]


_ids = count(1_000_000_000)


@settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(earlier=imports, later=imports)
async def test_import_matches_its_preview_and_is_idempotent(
    services: Services, earlier: list[Json], later: list[Json]
) -> None:
    pool, partner_id = services.database.readers, next(_ids)

    async def done(value: list[Json]) -> None:
        taken = list(rows.read_json(value))
        expected = await importer.preview_import(PartnerLock(pool), partner_id, HOME, taken)
        while expected.refused:
            plan = await importer.import_rows(PartnerLock(pool), partner_id, HOME, taken)
            assert plan.outcomes == expected.outcomes
            taken = [item.row for item in expected.outcomes if item.kind != "refused"]
            expected = await importer.preview_import(PartnerLock(pool), partner_id, HOME, taken)
        plan = await importer.import_rows(PartnerLock(pool), partner_id, HOME, taken)
        assert plan.outcomes == expected.outcomes
        again = await importer.import_rows(PartnerLock(pool), partner_id, HOME, taken)
        assert {item.kind for item in again.outcomes} <= {"unchanged"}

    await done(EVERYTHING)
    await done(earlier)
    await done(later)
