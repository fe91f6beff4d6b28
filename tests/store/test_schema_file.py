"""`sql/schema.sql` shows the schema that the migrations make."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from lrs import resources
from scripts.schema import describe

SCHEMA = resources.sql_file("schema")


async def description(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        if connection.get_server_version().major != 18:
            pytest.skip("the file shows expressions as PostgreSQL 18 prints them")
        return await describe(connection)
    finally:
        await connection.close()


async def test_schema_file_shows_the_migrated_schema(database_url: str) -> None:
    assert await description(database_url) == SCHEMA, "run `make schema`"


async def test_schema_file_creates_the_same_schema(database_url: str) -> None:
    name = f"schema_{uuid4().hex}"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"create database {name}")
    dsn = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    try:
        created = await asyncpg.connect(dsn)
        await created.execute(SCHEMA)
        await created.close()
        assert without_comments(await description(dsn)) == without_comments(SCHEMA)
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


def without_comments(text: str) -> str:
    return re.sub(r"^ *--.*\n", "", text, flags=re.MULTILINE)
