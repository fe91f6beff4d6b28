"""The cache of activity definitions and agent names, and the merge of definitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lrs.api.services import Services
from lrs.store.statements.definitions import DefinitionCache
from tests.support.entities import ACTIVITY, LEARNER, Json, defining, merge, send, send_batch
from tests.support.partners import Partner
from tests.support.statements import new_id


@dataclass(frozen=True)
class Row:
    """What the cache reads of a statement."""

    statement_id: str
    definitions: Sequence[tuple[str, tuple[bytes, ...]]] = ()
    names: Sequence[tuple[str, str]] = ()


class Worker:
    """A cache in front of one stored definition, which is merged as PostgreSQL merges it."""

    def __init__(self) -> None:
        self.cache = DefinitionCache()
        self.stored: Json = {}

    def insert(self, *statements: Sequence[Json], partner_id: int = 1) -> list[Json]:
        """Inserts statements with definitions of one activity; returns the definitions written."""
        rows = [
            Row(new_id(), [(ACTIVITY, tuple(json.dumps(item).encode() for item in definitions))])
            for definitions in statements
        ]
        pending = self.cache.pending(partner_id, rows)
        written = [json.loads(text) for _, _, texts in pending.definitions for text in texts]
        before, self.stored = self.stored, reduce(merge, written, self.stored)
        changed = {ACTIVITY} if same(before, self.stored) is False else set()
        ids = {row.statement_id for row in rows}
        self.cache.mark_written(partner_id, pending, ids, changed)
        return written


def same(one: Json, other: Json) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_written_definition_is_not_pending_again() -> None:
    worker = Worker()
    assert worker.insert([{"a": 1}]) == [{"a": 1}]
    assert worker.insert([{"a": 1}]) == []
    assert worker.insert([{"a": 1}], [{"a": 1}]) == []


def test_definition_that_changed_nothing_is_not_pending_again() -> None:
    """An object and a context activity often define one activity at different length."""
    worker = Worker()
    long, short = {"a": 1, "name": {"en": "One"}}, {"a": 1}
    assert worker.insert([long]) == [long]
    assert worker.insert([short]) == [short]
    assert worker.insert([long], [short]) == []
    assert worker.insert([short, long]) == [short, long]
    assert worker.insert([short, long]) == []


def test_alternating_definitions_are_pending_each_time() -> None:
    worker = Worker()
    for _ in range(2):
        assert worker.insert([{"a": 1}]) == [{"a": 1}]
        assert worker.insert([{"a": 2}]) == [{"a": 2}]


def test_definitions_after_a_pending_one_are_pending() -> None:
    worker = Worker()
    worker.insert([{"a": 1}])
    assert worker.insert([{"a": 1}], [{"a": 2}], [{"a": 1}]) == [{"a": 2}, {"a": 1}]
    assert worker.stored == {"a": 1}


def test_definition_of_another_partner_is_pending() -> None:
    worker = Worker()
    worker.insert([{"a": 1}])
    assert worker.insert([{"a": 1}], partner_id=2) == [{"a": 1}]


some_definitions = st.fixed_dictionaries(
    {},
    optional={
        "name": st.dictionaries(st.sampled_from(["en", "de"]), st.sampled_from("ab"), min_size=1),
        "type": st.sampled_from(["urn:x:1", "urn:x:2"]),
        "extensions": st.dictionaries(st.just("urn:x:3"), st.sampled_from([0, 1, True])),
    },
)


@given(batches=st.lists(st.lists(st.lists(some_definitions, max_size=2), max_size=4), max_size=6))
def test_definitions_that_are_not_pending_change_nothing(batches: list[list[list[Json]]]) -> None:
    worker = Worker()
    expected: Json = {}
    for batch in batches:
        worker.insert(*(definitions for definitions in batch if definitions))
        for definitions in batch:
            expected = reduce(merge, definitions, expected)
        assert same(worker.stored, expected)


def test_entry_of_a_statement_that_was_not_inserted_stays_pending() -> None:
    cache = DefinitionCache()
    row = Row("one", [(ACTIVITY, (b'{"a":1}',))], [("mbox a", "A")])
    for inserted in (set[str](), {"another"}):
        pending = cache.pending(1, [row])
        assert pending.definitions == [("one", ACTIVITY, (b'{"a":1}',))]
        assert pending.names == [("one", "mbox a", "A")]
        cache.mark_written(1, pending, inserted, set())
    cache.mark_written(1, pending, {"one"}, {ACTIVITY})
    assert cache.pending(1, [row]) == ([], [])


def test_entries_expire_after_their_ttl() -> None:
    cache = DefinitionCache(ttl_seconds=-1.0)
    row = Row("one", [(ACTIVITY, (b'{"a":1}',))])
    pending = cache.pending(1, [row])
    cache.mark_written(1, pending, {"one"}, {ACTIVITY})
    assert cache.pending(1, [row]) == pending


def test_name_of_another_agent_or_partner_is_pending() -> None:
    cache = DefinitionCache()
    cache.mark_written(1, cache.pending(1, [Row("one", (), [("mbox a", "A")])]), {"one"}, ())
    assert not cache.pending(1, [Row("two", (), [("mbox a", "A")])]).names
    for partner_id, identity, name in ((2, "mbox a", "A"), (1, "mbox b", "A"), (1, "mbox a", "B")):
        assert cache.pending(partner_id, [Row("two", (), [(identity, name)])]).names


def test_least_recently_written_entries_are_dropped() -> None:
    cache = DefinitionCache(max_definitions=10, max_names=10)
    rows = [Row(str(n), [(f"urn:x:{n}", (b"{}",))], [("mbox a", str(n))]) for n in range(20)]
    for row in rows:
        cache.mark_written(1, cache.pending(1, [row]), {row.statement_id}, ())
    pending = cache.pending(1, rows)
    assert [activity for _, activity, _ in pending.definitions] == [f"urn:x:{n}" for n in range(10)]
    assert [name for _, _, name in pending.names] == [str(n) for n in range(10)]


@given(definitions=st.lists(some_definitions, min_size=1, max_size=5))
async def test_database_merges_definitions_as_the_standard_says(
    services: Services, definitions: list[Json]
) -> None:
    merged = await services.database.readers.fetchval(
        "select merge_definitions(item.definition order by item.ordinal)"
        " from unnest($1::jsonb[]) with ordinality as item (definition, ordinal)",
        [json.dumps(item) for item in definitions],
    )
    assert same(json.loads(merged), reduce(merge, definitions))


async def test_repeated_definition_is_not_written_again(
    partner: Partner, services: Services
) -> None:
    """A row written again has another xmin, a locked row has an xmax."""

    async def traces() -> list[Any]:
        return list(
            await services.database.readers.fetch(
                """select xmin::text, xmax::text from activity where partner_id = $1
                union all select xmin::text, xmax::text from agent_name where partner_id = $1""",
                partner.partner_id,
            )
        )

    def sent() -> Json:
        return {**defining(name={"en": "One"}), "actor": {**LEARNER, "name": "Ann"}}

    await send(partner, sent())
    before = await traces()
    await send(partner, *(sent() for _ in range(5)))
    await send_batch(partner, *(sent() for _ in range(20)))
    assert await traces() == before
