"""Use cases that change learners: link and detach identifiers, delete, restore.

Each has a preview, which says in numbers what would happen and is no audit entry.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator, record
from lrs.errors import InvalidParameter, Violation
from lrs.people import changes, linking
from lrs.people.changes import LearnerChange
from lrs.people.learners import Learner
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.vocabulary import Vocabulary
from lrs.reports import identifiers
from lrs.reports.identifiers import Identifier
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.store.storable_text import is_storable
from lrs.xapi import track_events

_SHA1 = re.compile("[0-9A-Fa-f]{40}")
_MAX_IDENTIFIER = 1000


@dataclass(frozen=True, slots=True)
class LearnerChanges:
    """Where the learners of a partner are changed: in the database, under the partner's lock."""

    database: Database
    partner_lock: PartnerLock
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True)
class LearnerChangeView:
    """What a change does, or in a preview would: learners by id, and rows that move or disappear.

    `into` has the rows afterwards: the target of a merge, the new learner of a detachment.
    """

    preview: bool
    person_id: int
    label: str
    into: int | None
    identifiers: int
    events: int
    records: int
    memberships: int
    assignments: int


async def link_identifier(
    used: LearnerChanges,
    operator: Operator,
    partner: str,
    person_id: int,
    identifier: str,
    home_page: str | None = None,
    *,
    preview: bool = False,
) -> LearnerChangeView:
    """Gives a learner an identifier: a mail address, SHA-1, OpenID, track user, or an account.

    A learner who has it is merged into this one. Raises NotFound, InvalidParameter, Conflict,
    Forbidden.
    """
    _check("identifier", identifier)
    _check("home_page", home_page)

    async def change(partner_row: Partner) -> LearnerChange:
        return await linking.link(
            used.partner_lock,
            partner_row.partner_id,
            _by_id(person_id),
            _agent(identifier.strip(), home_page, partner_row.home_page),
            folds_case=partner_row.settings.fold_mail_case,
            preview=preview,
        )

    return await _run(used, operator, partner, person_id, "learner.link", change, preview=preview)


async def detach_identifier(
    used: LearnerChanges,
    operator: Operator,
    partner: str,
    person_id: int,
    identifier: str,
    home_page: str | None = None,
    *,
    preview: bool = False,
) -> LearnerChangeView:
    """Gives an identifier with its events to a new learner. Raises as `link_identifier`."""
    _check("identifier", identifier)
    _check("home_page", home_page)

    async def change(partner_row: Partner) -> LearnerChange:
        return await changes.detach(
            used.partner_lock,
            partner_row.partner_id,
            _by_id(person_id),
            identifiers.parse_identifier(identifier.strip(), home_page, partner_row.home_page),
            preview=preview,
        )

    return await _run(used, operator, partner, person_id, "learner.detach", change, preview=preview)


async def delete_learner(
    used: LearnerChanges, operator: Operator, partner: str, person_id: int, *, preview: bool = False
) -> LearnerChangeView:
    """Deletes a learner from the reports; the statements stay. Raises NotFound, Forbidden."""

    async def change(partner_row: Partner) -> LearnerChange:
        return await changes.delete(
            used.partner_lock, partner_row.partner_id, _by_id(person_id), preview=preview
        )

    return await _run(used, operator, partner, person_id, "learner.delete", change, preview=preview)


async def restore_learner(
    used: LearnerChanges, operator: Operator, partner: str, person_id: int, *, preview: bool = False
) -> LearnerChangeView:
    """Undoes the deletion of a learner. Raises NotFound, Conflict (not deleted), Forbidden."""

    async def change(partner_row: Partner) -> LearnerChange:
        return await changes.restore(
            used.partner_lock,
            partner_row.partner_id,
            _by_id(person_id),
            used.vocabulary,
            preview=preview,
        )

    return await _run(
        used, operator, partner, person_id, "learner.restore", change, preview=preview
    )


async def _run(
    used: LearnerChanges,
    operator: Operator,
    partner: str,
    person_id: int,
    action: str,
    change: Callable[[Partner], Awaitable[LearnerChange]],
    *,
    preview: bool,
) -> LearnerChangeView:
    operator.require("operator")
    partner_row = await find_partner(used.database, operator, partner)
    done = _view(await change(partner_row), preview=preview)
    if not preview:
        after: dict[str, Any] = {"learner": done.person_id, "into": done.into}
        after |= {name: getattr(done, name) for name in _COUNTS if getattr(done, name)}
        await record(
            used.database,
            operator,
            action,
            f"learner/{person_id}",
            partner_id=partner_row.partner_id,
            after=after,
        )
    return done


_COUNTS = ("identifiers", "events", "records", "memberships", "assignments")


def _view(change: LearnerChange, *, preview: bool) -> LearnerChangeView:
    learner: Learner = change.learner
    return LearnerChangeView(
        preview,
        learner.user_id,
        learner.name or learner.label,
        change.into.user_id if change.into else None,
        change.identifiers,
        change.events,
        change.records,
        change.memberships,
        change.assignments,
    )


def _agent(text: str, account_home_page: str | None, home_page: str) -> dict[str, Any]:
    """The agent that a text identifies: an account if there is a home page."""
    if account_home_page:
        return {"account": {"homePage": account_home_page, "name": text}}
    if "@" in text or text.startswith("mailto:"):
        return {"mbox": f"mailto:{text.removeprefix('mailto:')}"}
    if _SHA1.fullmatch(text):
        return {"mbox_sha1sum": text.lower()}
    if text.startswith(("http://", "https://")):
        return {"openid": text}
    return dict(track_events.identifier(text, home_page))


def _by_id(person_id: int) -> Identifier:
    return Identifier(None, (), person_id)


def _check(name: str, value: str | None) -> None:
    """Raises InvalidParameter for a text that cannot be an identifier or home page."""
    if value is None and name == "home_page":
        return
    if not (value and value.strip() and len(value) <= _MAX_IDENTIFIER and is_storable(value)):
        detail = f"expected 1 to {_MAX_IDENTIFIER} characters that can be stored"
        raise InvalidParameter(
            f"{name}: {detail}.", violations=[Violation(f"/{name}", detail, "Admin API")]
        )
