"""The one filterable list: SQL for a page of statements.

The leading condition walks an index in page order and stops at the page's end; the other conditions
are looked up for each statement met on the way. Where a condition is met in several ranges, each
range is cut to the page's length before they are put together, so no page is ever short.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lrs.store.database import Database, errors_translated
from lrs.xapi import links
from lrs.xapi.query import Cursor, StatementQuery

_COLUMNS = {"verb": "verb_key", "authority": "authority_key", "organization": "organization"}

# The offset keeps the planner from turning this look-up into a join that loses the page's order.
_FROM_LINK = """
    from link as place
    cross join lateral (
        select payload, verb_key, authority_key, organization
        from statement
        where partner_id = place.partner_id and statement_id = place.statement_id
        offset 0
    ) as statement"""

_FROM_STATEMENT = """
    from statement as place
    cross join lateral (
        select place.payload, place.verb_key, place.authority_key, place.organization
    ) as statement"""

# And this from answering a look-up that is one of two alternatives for the whole partner at once.
_APART = " offset 0"

Source = Literal["link", "verb", "authority", "organization"]


@dataclass(frozen=True, slots=True)
class Range:
    """A range of an index, in page order, that holds statements with something in common."""

    source: Source
    value: int | str


Condition = tuple[Range, ...]
"""Statements must be in one of the ranges."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which statements, in which order. Conditions are all to be met; the first one leads."""

    conditions: tuple[Condition, ...]
    horizon: datetime
    since: datetime | None
    until: datetime | None
    cursor: Cursor | None
    ascending: bool
    limit: int


def select(
    query: StatementQuery,
    *,
    horizon: datetime,
    authority_key: int | None = None,
    organization: str | None = None,
) -> Selection:
    """What a query asks for, limited to one authority and one organization if they are given.

    Conditions that are met by few statements come first.
    """
    conditions: list[Condition] = []
    if query.registration:
        conditions.append((Range("link", links.registration_key(query.registration)),))
    if query.agent:
        conditions.append(_agent(query.agent, related=query.related_agents))
    if query.activity:
        conditions.append(_activity(query.activity, related=query.related_activities))
    if organization is not None:
        conditions.append((Range("organization", organization),))
    if query.verb:
        key = links.verb_key(query.verb)
        conditions.append((Range("verb", key), Range("link", key)))
    if authority_key is not None:
        conditions.append((Range("authority", authority_key),))
    return Selection(
        tuple(conditions),
        horizon,
        query.since,
        query.until,
        query.cursor,
        query.ascending,
        query.limit,
    )


def _agent(agent: dict[str, Any], *, related: bool) -> Condition:
    identity = links.agent_identity(agent)
    direct = links.key("agent", str(identity))
    if not related:
        return (Range("link", direct),)
    return (
        Range("link", direct),
        Range("link", links.key("related agent", str(identity))),
        Range("authority", direct),
    )


def _activity(activity: str, *, related: bool) -> Condition:
    direct = Range("link", links.activity_key(activity))
    if not related:
        return (direct,)
    return (direct, Range("link", links.related_activity_key(activity)))


@dataclass(frozen=True, slots=True)
class Row:
    payload: str
    stored: datetime
    statement_id: str


async def page(database: Database, partner_id: int, selection: Selection) -> tuple[list[Row], bool]:
    """One page, and whether there is more behind it."""
    sql, arguments = build(partner_id, selection)
    with errors_translated():
        rows = await database.lists.fetch(sql, *arguments)
    found = [Row(row["payload"], row["stored"], str(row["statement_id"])) for row in rows]
    return found[: selection.limit], len(found) > selection.limit


def build(partner_id: int, selection: Selection) -> tuple[str, list[Any]]:
    """The query and its arguments; its rows are payload, stored, statement_id, one row too many."""
    return _Page(partner_id, selection).query()


class _Page:
    def __init__(self, partner_id: int, selection: Selection) -> None:
        self.selection = selection
        self.arguments: list[Any] = []
        self.direction = "asc" if selection.ascending else "desc"
        self.partner = self.argument(partner_id)
        self.limit = self.argument(selection.limit + 1)
        self.window = self._window()

    def argument(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def query(self) -> tuple[str, list[Any]]:
        lead, *rest = self.selection.conditions or ((),)
        filters = [self._not_voided(), *map(self._met, rest)]
        if len(lead) < 2:
            sql = self._branch(lead[0] if lead else None, filters, payload=True)
        else:
            branches = [self._branch(each, filters, payload=False) for each in lead]
            sql = self._united(branches)
        return sql, self.arguments

    def _united(self, branches: list[str]) -> str:
        union = "\n    union\n    ".join(f"({branch})" for branch in branches)
        return f"""
select statement.payload, place.stored, place.statement_id
from (
    select stored, statement_id
    from ({union}) as place
    order by stored {self.direction}, statement_id {self.direction}
    limit {self.limit}
) as place
join statement
    on statement.partner_id = {self.partner} and statement.statement_id = place.statement_id
order by place.stored {self.direction}, place.statement_id {self.direction}"""

    def _branch(self, lead: Range | None, filters: list[str], *, payload: bool) -> str:
        columns = "statement.payload, " if payload else ""
        source = _FROM_LINK if lead and lead.source == "link" else _FROM_STATEMENT
        where = [f"place.partner_id = {self.partner}", *self.window, *filters]
        if lead:
            column = _COLUMNS.get(lead.source, "key")
            where.insert(1, f"place.{column} = {self.argument(lead.value)}")
        return f"""
    select {columns}place.stored, place.statement_id{source}
    where {" and ".join(where)}
    order by place.stored {self.direction}, place.statement_id {self.direction}
    limit {self.limit}"""

    def _window(self) -> list[str]:
        selection = self.selection
        until = min(selection.horizon, selection.until or selection.horizon)
        window = [f"place.stored <= {self.argument(until)}"]
        if selection.since:
            window.append(f"place.stored > {self.argument(selection.since)}")
        if selection.cursor:
            beyond = ">" if selection.ascending else "<"
            stored = self.argument(selection.cursor.stored)
            statement_id = self.argument(selection.cursor.statement_id)
            window.append(
                f"place.stored {beyond}= {stored} and (place.stored {beyond} {stored}"
                f" or place.statement_id {beyond} {statement_id})"
            )
        return window

    def _met(self, condition: Condition) -> str:
        keys = [self.argument(each.value) for each in condition if each.source == "link"]
        alternatives = [
            f"statement.{_COLUMNS[each.source]} = {self.argument(each.value)}"
            for each in condition
            if each.source != "link"
        ]
        if keys:
            how = _APART if alternatives else ""
            alternatives.append(
                f"exists (select from link where link.partner_id = {self.partner}"
                f" and link.key in ({', '.join(keys)}) and link.stored = place.stored"
                f" and link.statement_id = place.statement_id{how})"
            )
        return "(" + " or ".join(alternatives) + ")"

    def _not_voided(self) -> str:
        return (
            f"(statement.verb_key = {self.argument(links.VOIDED_KEY)} or not exists ("
            f"select from reference where reference.partner_id = {self.partner}"
            f" and reference.target_id = place.statement_id and reference.voids{_APART}))"
        )
