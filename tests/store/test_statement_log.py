"""The log of statements: pages in the order of storage, with bounds."""

from __future__ import annotations

import pytest

from lrs.api.services import Services
from lrs.store.statements.log_page import LogFilter, read_log
from tests.support.forwarding import store_many
from tests.support.partners import Partner

END = 2**63 - 1


async def read_all(
    services: Services, partner: Partner, log_filter: LogFilter, **limits: int
) -> tuple[list[str], int]:
    """The ids of all pages, and the number of pages."""
    ids: list[str] = []
    position, pages = 0, 0
    while True:
        page = await read_log(
            services.database,
            partner.partner_id,
            log_filter,
            after=position,
            before=END,
            **{"limit": 7, **limits},
        )
        if page.end == position:
            return ids, pages
        ids += [statement.statement_id for statement in page.statements]
        position, pages = page.end, pages + 1


@pytest.mark.parametrize("limits", [{}, {"max_examined": 3}, {"max_bytes": 1}, {"limit": 1_000}])
async def test_pages_have_every_statement_once(
    services: Services, partner: Partner, stranger: Partner, limits: dict[str, int]
) -> None:
    ids = await store_many(partner, 30)
    await store_many(stranger, 3)
    read, pages = await read_all(services, partner, LogFilter(), **limits)
    assert read == ids
    assert pages == {"max_examined": 10, "max_bytes": 30, "limit": 1}.get(next(iter(limits), ""), 5)


async def test_rare_statements_are_found_after_pages_without_any(
    services: Services, partner: Partner
) -> None:
    verb = {"id": "http://example.com/rare"}
    await store_many(partner, 35)
    rare = await store_many(partner, 2, verb=verb)
    await store_many(partner, 15)
    chosen = LogFilter(verbs=[verb["id"]])
    read, pages = await read_all(services, partner, chosen, max_examined=10)
    assert read == rare
    assert pages == 6
