"""The tables of reports in the database: one select for each."""

from __future__ import annotations

from lrs import resources


def select(table: str) -> str:
    """The rows of a table; its only argument is the partner's id."""
    return resources.query(table)
