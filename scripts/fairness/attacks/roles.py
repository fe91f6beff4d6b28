"""Attacks by a reporting role, inside the database."""

from __future__ import annotations

import asyncpg

from scripts.fairness.attacks.client import Target, repeat


async def role_advisory_locks(target: Target) -> None:
    await _query(target, "select pg_advisory_lock(i) from generate_series(1, 100000000) as i")


async def role_memory(target: Target) -> None:
    await _query(
        target,
        "set statement_timeout = 0",
        "set work_mem = '2GB'",
        "select count(distinct i::text) from generate_series(1, 100000000) as i",
    )


async def role_temporary_files(target: Target) -> None:
    await _query(
        target,
        "set statement_timeout = 0",
        "select i from generate_series(1, 1000000000) as i order by md5(i::text)",
    )


async def _query(target: Target, *statements: str) -> None:
    async def once() -> None:
        connection = await asyncpg.connect(target.reader_dsn)
        try:
            for text in statements:
                await connection.execute(text)
        finally:
            await connection.close(timeout=1)

    await repeat(4, once)
