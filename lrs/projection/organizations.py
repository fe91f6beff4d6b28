"""The organization of an event whose statement names none: that of its learner's memberships."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple


class Membership(NamedTuple):
    """A membership in an organization; `to_day` is the first day after it, None an open end."""

    organization: str
    from_day: date
    to_day: date | None

    def covers(self, day: date) -> bool:
        return self.from_day <= day and (self.to_day is None or day < self.to_day)


Memberships = dict[int, list[Membership]]
"""By person id; persons without a membership may be absent."""


def infer_organization(memberships: Iterable[Membership], day: date) -> str:
    """The only organization of the learner, or else the only one on that day; "" is none."""
    own = [membership for membership in memberships if membership.organization]
    for candidates in (own, [membership for membership in own if membership.covers(day)]):
        names = {membership.organization for membership in candidates}
        if len(names) == 1:
            return names.pop()
    return ""


def by_person(rows: Iterable[tuple[int, str, date, date | None]]) -> Memberships:
    """The memberships in rows of person id, organization and days."""
    memberships: Memberships = defaultdict(list)
    for person_id, organization, from_day, to_day in rows:
        memberships[person_id].append(Membership(organization, from_day, to_day))
    return dict(memberships)
