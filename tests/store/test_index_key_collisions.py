"""Colliding index keys show no statement of another query."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lrs.api.services import Services
from lrs.store.statements import insert
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys
from tests.support.partners import Partner
from tests.support.statements import new_id, prepared, statement
from tests.support.store import LEARNER, list_ids, statement_filter

Json = dict[str, Any]


COURSE = "http://example.com/course/1"
REGISTRATION = "ec531277-b57b-4c15-8d91-d292c5b2b8f7"
FILTERS: dict[str, Json] = {
    "agent": {"agent": LEARNER},
    "verb": {"verb": "http://adlnet.gov/expapi/verbs/completed"},
    "activity": {"activity": COURSE},
    "registration": {"registration": REGISTRATION},
    "agent and verb": {"agent": LEARNER, "verb": "http://adlnet.gov/expapi/verbs/completed"},
}


@pytest.mark.parametrize("name", FILTERS)
async def test_colliding_keys_of_two_partners_return_own_statements_only(
    partner: Partner, stranger: Partner, services: Services, name: str
) -> None:
    """All index keys of one partner are set to those of the other."""
    changed = key_salt(partner.partner_id) ^ key_salt(stranger.partner_id)
    registered = statement(id=new_id(), context={"registration": REGISTRATION})
    theirs = prepared(registered)
    theirs = msgspec.structs.replace(
        theirs,
        verb_key=theirs.verb_key ^ changed,
        actor_key=(theirs.actor_key or 0) ^ changed,
        object_key=(theirs.object_key or 0) ^ changed,
        index_entries=tuple((key ^ changed, roles) for key, roles in theirs.index_entries),
    )
    mine = prepared({**registered, "id": new_id()})
    writers = services.database.writers
    await insert.insert_new(writers, stranger.partner_id, [theirs])
    assert (
        await list_ids(services.database, partner.partner_id, statement_filter(**FILTERS[name]))
        == []
    )
    await insert.insert_new(writers, partner.partner_id, [mine])
    result = await list_ids(
        services.database, partner.partner_id, statement_filter(**FILTERS[name])
    )
    assert result == [mine.statement_id]


def test_colliding_keys_in_one_statement_merge_their_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    """By chance, or by names chosen to collide."""
    monkeypatch.setattr(index_keys, "entity_key", lambda kind, identity: 1)
    context = {"instructor": LEARNER, "registration": REGISTRATION}
    keys = index_keys.statement_keys(statement(context=context))
    registered = {index_keys.registration_key(REGISTRATION): index_keys.Role.REGISTRATION}
    assert keys == index_keys.IndexKeys(1, 1, registered)
