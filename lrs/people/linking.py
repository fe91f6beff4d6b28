"""Linking an identifier to a learner: the one who has it is merged, an unknown one is added."""

from __future__ import annotations

from typing import Any

from lrs import resources
from lrs.errors import Conflict, InvalidParameter, NotFound
from lrs.people import learners
from lrs.people.changes import LearnerChange, count_rows, run_change
from lrs.people.learners import Learner
from lrs.projection.mail_spellings import spellings
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.person_merge import merge_persons
from lrs.reports.identifiers import Identifier
from lrs.store.postgres import Connection
from lrs.xapi import index_keys

_LINK = resources.query("add_linked_identifiers")


async def link(
    partner_lock: PartnerLock,
    partner_id: int,
    learner: Identifier,
    agent: dict[str, Any],
    *,
    folds_case: bool,
    preview: bool = False,
) -> LearnerChange:
    """Give a learner the identifier of an agent, with all that another learner has under it.

    The learner keeps the id. `into` of the result is the learner if another one is merged, None if
    the identifier is new. Raises NotFound, InvalidParameter (no identifier, or the learner's
    already), Conflict (of a deleted learner), and Unavailable.
    """
    identity = index_keys.agent_identity(agent)
    if identity is None:
        raise InvalidParameter("identifier: expected a mail address, SHA-1, OpenID or account.")
    own, *derived = spellings(identity, folds_case=folds_case)

    async def run(connection: Connection) -> LearnerChange:
        target = await learners.find(connection, partner_id, learner)
        present = await _owner(connection, partner_id, own.agent_key)
        if present is None:
            names = [own, *derived]
            if not preview:
                keys, identities, folded = zip(*names, strict=True)
                await connection.execute(
                    _LINK, partner_id, target.user_id, keys, identities, folded
                )
            return LearnerChange(target, identifiers=1)
        if present.user_id == target.user_id:
            raise InvalidParameter(f"identifier: {target.label} has it already.")
        change = await count_rows(connection, partner_id, present, target)
        if not preview:
            await merge_persons(connection, partner_id, {present.user_id: target.user_id})
        return change

    return await run_change(partner_lock, partner_id, run, preview=preview)


async def _owner(connection: Connection, partner_id: int, key: int) -> Learner | None:
    """The learner with an identifier. Raises Conflict if it is deleted."""
    try:
        found = await learners.find(
            connection, partner_id, Identifier(None, (key,), None), include_deleted=True
        )
    except NotFound:
        return None
    if found.deleted_at is not None:
        raise Conflict(f"The identifier belongs to the deleted learner {found.label}.")
    return found
