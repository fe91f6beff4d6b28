"""Pages of the log of statements, which pipes forward: all statements of a partner, voided or not,
in the order of their sequences.

Below the watermark no statement is added, so a consumer that reads up to it and remembers the
sequence misses none. The sequence is that of the cursor in `more`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lrs import resources
from lrs.store.postgres import Database, translate_errors
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys

_READ = resources.query("read_statement_log")

MAX_EXAMINED_STATEMENTS = 5_000
MAX_PAGE_BYTES = 4_194_304


class LoggedStatement(msgspec.Struct, frozen=True, gc=False):
    """A stored statement: `text` is its JSON text."""

    sequence: int
    statement_id: str
    organization: str | None
    text: str


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Statements match if they match each member that is not empty, in one of its values.

    `related_activities`: also activities in the context, as for the parameter of this name.
    `excluded_authorities` are index keys: statements of these do not match.
    """

    verbs: Sequence[str] = ()
    activities: Sequence[str] = ()
    related_activities: bool = False
    organizations: Sequence[str] = ()
    registrations: Sequence[str] = ()
    excluded_authorities: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class LogPage:
    """`end` is the sequence up to which the log is read; at its end, that which was passed."""

    statements: list[LoggedStatement]
    end: int


async def read_log(
    database: Database,
    partner_id: int,
    log_filter: LogFilter,
    *,
    after: int,
    before: int,
    limit: int,
    max_examined: int = MAX_EXAMINED_STATEMENTS,
    max_bytes: int = MAX_PAGE_BYTES,
) -> LogPage:
    """The next statements after the sequence `after`, at most `limit`, and before another one.

    At least one, if there is one, and no more than the one that reaches `max_bytes`. Raises
    Unavailable.
    """
    related = [index_keys.related_activity_key(activity) for activity in log_filter.activities]
    activities = [index_keys.activity_key(activity) for activity in log_filter.activities]
    salt = key_salt(partner_id)
    with translate_errors():
        examined, *rows = await database.lists.fetch(
            _READ,
            partner_id,
            after,
            before,
            max_examined,
            list(log_filter.organizations) or None,
            _salted([index_keys.verb_key(verb) for verb in log_filter.verbs], salt),
            _salted(activities, salt),
            _salted(activities + (related if log_filter.related_activities else []), salt),
            limit,
            max_bytes,
            _salted([index_keys.registration_key(r) for r in log_filter.registrations], salt),
            _salted(log_filter.excluded_authorities, salt),
        )
    statements = [LoggedStatement(*row) for row in rows]
    last_examined = examined["sequence"]
    if last_examined is None:
        return LogPage([], after)
    if statements and (len(statements) == limit or _is_full(statements, max_bytes)):
        return LogPage(statements, statements[-1].sequence)
    return LogPage(statements, last_examined)


def _is_full(statements: Sequence[LoggedStatement], max_bytes: int) -> bool:
    return sum(len(statement.text.encode()) for statement in statements) >= max_bytes


def _salted(keys: Sequence[int], salt: int) -> list[int] | None:
    return [key ^ salt for key in keys] or None
