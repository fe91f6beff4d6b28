"""`lrs people list`, `merge`, `detach`, `rename`, `delete`, `restore`; `lrs content import`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import httpx
from click.testing import Result

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.catalog.rows import KINDS, ROWS
from tests.support.files import DOCS
from tests.support.partners import new_partner
from tests.support.people_import import ADA, complete_content, import_rows, user


async def test_learners_are_listed_and_changed(
    services: Services, http: httpx.AsyncClient, run: Callable[..., Result]
) -> None:
    operator = await new_partner(services, http, frozenset({scopes.ADMIN}))
    account = {"account": {"homePage": "https://www.datacamp.com", "name": "ada"}}
    await complete_content(services, operator, one={"mbox": f"mailto:{ADA}"}, two=account)
    await import_rows(operator, user("emp_1", email=ADA))

    async def output(command: str, *arguments: str) -> str:
        done = await asyncio.to_thread(run, "people", command, operator.name, *arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    _, unmatched = (await output("list", "--unmatched")).splitlines()
    number, name, count, *_ = unmatched.split("\t")
    assert (name, count) == ("", "1")
    assert unmatched.endswith("\thttps://www.datacamp.com ada\tada")
    assert await output("merge", number, "emp_1", "--preview") == (
        f"preview: merged {number} into emp_1: 1 identifier, 1 event, 1 record\n"
    )
    merged = await output("merge", number, "emp_1")
    assert merged == f"merged {number} into emp_1: 1 identifier, 1 event, 1 record\n"
    assert (await output("list", "--unmatched")).count("\n") == 1
    detached = await output("detach", "emp_1", "ada", "--home-page", "https://www.datacamp.com")
    assert detached.startswith("detached ada from emp_1 as id:")
    assert await output("rename", "emp_1", "emp_2", "--first-name", "Ada") == (
        "renamed emp_1 to emp_2\n"
    )
    assert (await output("delete", ADA)).startswith("deleted emp_2 (id:")
    assert ADA in await output("list", "--deleted")
    assert (await output("restore", ADA)).endswith(": 1 identifier, 1 event\n")
    refusal = await asyncio.to_thread(run, "people", "rename", operator.name, "nobody", "x")
    assert (refusal.exit_code, "Learner not found" in refusal.stderr) == (1, True)


async def test_documented_catalog_is_imported(
    services: Services, http: httpx.AsyncClient, run: Callable[..., Result], tmp_path: Path
) -> None:
    operator = await new_partner(services, http, frozenset({scopes.ADMIN}))
    document = (DOCS / "catalog.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"```csv\n(.*?)```", document, re.DOTALL)
    file = tmp_path / "catalog.csv"
    file.write_text(table, encoding="utf-8")

    async def output(*options: str) -> Result:
        arguments = ("content", "import", operator.name, str(file), *options)
        return await asyncio.to_thread(run, *arguments)

    preview = await output("--preview")
    assert preview.stdout.startswith("line 2\tcourse\thttp://datacamp.com/course/123\tadded\n")
    assert (await output()).stdout == "6 rows: 6 added\n"
    assert (await output()).stdout == "6 rows: 6 unchanged\n"
    for kind in KINDS:
        (columns,) = re.findall(rf"^\| `{kind}` \| (.*?) \|$", document, re.MULTILINE)
        assert ("type", *re.findall(r"`(\w+)`", columns)) == ROWS.columns(kind)
    file.write_text('{"type": "chapter", "content": "c", "course": "nothing"}', encoding="utf-8")
    refusal = await output()
    assert (refusal.exit_code, refusal.stdout) == (1, "1 row: 1 refused\n")
    assert "line 1\tchapter\tc\trefused\tcourse: expected a stored course" in refusal.stderr
