"""`lrs export`: files, manifest, incremental exports, DuckDB."""

from __future__ import annotations

import asyncio
import csv
import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import zstandard
from click.testing import CliRunner, Result

from lrs.api.services import Services
from lrs.cli import main
from lrs.reports import tables
from lrs.reports.tables import REPORTS, TABLES
from tests.support.app import SECRET_KEY
from tests.support.partners import Partner
from tests.support.reports import DAY, VENDOR_QUERY, World
from tests.support.statements import new_id, statement

Export = Callable[..., Any]


@pytest.fixture
def export(database_url: str, partner: Partner) -> Export:
    """Runs `lrs export` for the partner on the test database."""
    environment: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("LRS_")
    }
    environment |= {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY}

    async def run(out: Path, *options: str, name: str = partner.name) -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke, main.main, ["export", name, str(out), *options], env=environment
        )

    return run


@pytest.fixture
async def world(services: Services, partner: Partner) -> World:
    world = World(services.database, partner.partner_id)
    await world.classroom()
    return world


def manifest(out: Path) -> dict[str, Any]:
    actual: dict[str, Any] = json.loads((out / "manifest.json").read_bytes())
    return actual


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.slow
async def test_manifest_lists_tables_and_files(
    export: Export, partner: Partner, world: World, tmp_path: Path
) -> None:
    await partner.send([statement() for _ in range(3)])
    result = await export(tmp_path / "a" / "b")
    assert result.exit_code == 0, result.output
    out = tmp_path / "a" / "b"
    written = manifest(out)
    assert written["partner"] == partner.name
    assert (written["format"], written["compression"]) == ("parquet", None)
    assert set(written["tables"]) == set(TABLES)
    assert set(contents(out)) == {
        "manifest.json",
        *(f"{name}.parquet" for name in TABLES),
    }
    for name, item in written["tables"].items():
        content = (out / item["file"]).read_bytes()
        assert (item["bytes"], item["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        table = pyarrow.parquet.read_table(out / item["file"])
        assert item["rows"] == table.num_rows
        assert [column["name"] for column in item["columns"]] == table.column_names
        assert item["replaces"] == ([] if name == "statements" else "all")
    assert (written["tables"]["statements"]["rows"], written["tables"]["user_dim"]["rows"]) == (
        3,
        3,
    )
    assert f"{len(TABLES)} tables" in result.stdout


async def test_table_format_and_compression_options(
    export: Export, world: World, tmp_path: Path
) -> None:
    options = ("--table", "user_dim", "--table", "team_dim", "--format", "csv")
    result = await export(tmp_path, *options, "--compress", "zstd")
    assert result.exit_code == 0, result.output
    assert set(contents(tmp_path)) == {
        *("manifest.json", "user_dim.csv.zst", "team_dim.csv.zst"),
    }
    packed = (tmp_path / "user_dim.csv.zst").read_bytes()
    text = zstandard.ZstdDecompressor().stream_reader(packed).read().decode()
    assert text.splitlines()[1].endswith("Ann,,,," + text.splitlines()[1].split(",")[0])


@pytest.mark.parametrize(("options", "name"), [((), "'=1+1"), (("--raw",), "=1+1")])
async def test_texts_of_csv_are_neutralized_unless_raw(
    services: Services,
    export: Export,
    partner: Partner,
    tmp_path: Path,
    options: tuple[str, ...],
    name: str,
) -> None:
    await World(services.database, partner.partner_id).person(first_name="=1+1")
    result = await export(tmp_path, "--table", "user_dim", "--format", "csv", *options)
    assert result.exit_code == 0, result.output
    (row,) = csv.DictReader((tmp_path / "user_dim.csv").read_text().splitlines())
    assert row["first_name"] == name


@pytest.mark.slow
async def test_incremental_export_has_the_changes_only(
    export: Export, partner: Partner, world: World, tmp_path: Path
) -> None:
    first = [statement(id=new_id()) for _ in range(2)]
    await partner.send(first)
    await export(tmp_path / "1")
    await partner.send(statement(id=new_id()))
    tomorrow = DAY + timedelta(days=1)
    await world.insert("changed_day", day=tomorrow, changed_at=datetime.now(UTC))
    result = await export(tmp_path / "2", "--since", str(tmp_path / "1" / "manifest.json"))
    assert result.exit_code == 0, result.output
    entries = manifest(tmp_path / "2")["tables"]
    assert entries["statements"]["rows"] == 1
    assert entries["course_fact"]["replaces"] == [tomorrow.isoformat()]
    facts = pyarrow.parquet.read_table(tmp_path / "2" / "course_fact.parquet").to_pylist()
    assert {row["date_id"] for row in facts} == {20260509}
    assert (entries["course_dim"]["replaces"], entries["course_dim"]["rows"]) == ("all", 4)
    await export(tmp_path / "3", "--since", str(tmp_path / "2" / "manifest.json"))
    entries = manifest(tmp_path / "3")["tables"]
    assert (entries["statements"]["rows"], entries["course_fact"]["replaces"]) == (0, [])


@pytest.mark.slow
async def test_failed_export_keeps_the_previous_files(
    export: Export, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await export(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(tables, "select", lambda table: "select * from nothing")
    result = await export(tmp_path, "--table", "user_dim")
    assert result.exit_code == 1
    assert contents(tmp_path) == before


@pytest.mark.slow
async def test_interrupted_replacement_leaves_no_manifest(
    export: Export, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest never describes the files of another export."""
    await export(tmp_path)
    link = os.link

    def cut_short(source: str, target: Path, **more: Any) -> None:
        if target.name > "course_fact.parquet":
            raise OSError("cut short")
        link(source, target, **more)

    monkeypatch.setattr(os, "link", cut_short)
    assert (await export(tmp_path)).exit_code == 1
    assert not (tmp_path / "manifest.json").exists()


async def test_export_replaces_an_earlier_one_of_another_format_and_keeps_other_files(
    export: Export, partner: Partner, world: World, tmp_path: Path
) -> None:
    own = tmp_path / "notes.csv"
    own.write_text("mine")
    some = ("--table", "user_dim", "--table", "team_dim")
    await export(tmp_path, *some, "--format", "csv", "--compress", "gzip")
    assert contents(tmp_path).keys() == {
        "user_dim.csv.gz", "team_dim.csv.gz", "manifest.json", "notes.csv",
    }  # fmt: skip
    result = await export(tmp_path, "--table", "user_dim", "--format", "ndjson")
    assert result.exit_code == 0, result.output
    names = contents(tmp_path).keys()
    assert names == {"user_dim.ndjson", "manifest.json", "notes.csv"}
    assert own.read_text() == "mine"


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", '{"tables": 1}', '{"tables": {"x": 1}}', '{"tables": {"x": {"file": 1}}}',
        '{"tables": {"x": {"file": "../kept"}}}', '{"tables": {"x": {"file": ".."}}}',
    ],
)  # fmt: skip
async def test_export_over_an_invalid_manifest_removes_no_other_file(
    export: Export, world: World, tmp_path: Path, content: str
) -> None:
    (tmp_path / "kept").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text(content)
    result = await export(out, "--table", "team_dim", "--format", "csv")
    assert result.exit_code == 0, result.output
    assert contents(out).keys() == {"manifest.json", "team_dim.csv"}
    assert (tmp_path / "kept").read_text() == "mine"


async def test_directory_with_the_export_of_another_partner_is_refused(
    export: Export, stranger: Partner, world: World, tmp_path: Path
) -> None:
    await export(tmp_path, "--table", "team_dim", name=stranger.name)
    before = contents(tmp_path)
    result = await export(tmp_path, "--table", "team_dim")
    assert result.exit_code == 1
    assert f"the export of another partner, {stranger.name}: choose another" in result.output
    assert contents(tmp_path) == before


async def test_full_disk_ends_the_export_with_an_error(
    export: Export, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a table."""

    class Full(io.FileIO):
        written = 0

        def write(self, part: Any, /) -> int:
            self.written += len(part)
            if self.written > 100_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(part)

    monkeypatch.setattr(os, "fdopen", lambda descriptor, _: Full(descriptor, "w"))
    out = tmp_path / "out"
    result = await export(out, "--table", "date_dim", "--format", "csv")
    assert result.exit_code == 1
    assert f"{out} cannot be written to: [Errno 28] No space left on device" in result.stderr
    assert not out.exists()


async def test_impossible_export_is_refused_with_its_cause(
    export: Export, stranger: Partner, tmp_path: Path
) -> None:
    async def refused(*arguments: Any, **more: Any) -> str:
        result = await export(*arguments, **more)
        assert result.exit_code == 1, result.output
        (line,) = result.stderr.splitlines()[-1:]
        return str(line)

    other = tmp_path / "other"
    assert (await export(other, "--table", "user_dim", name=stranger.name)).exit_code == 0
    path = str(other / "manifest.json")
    assert "manifest of another partner" in await refused(tmp_path / "x", "--since", path)
    assert "choose another directory" in await refused(other, "--since", path, name=stranger.name)
    (tmp_path / "broken.json").write_text("[]")
    broken = str(tmp_path / "broken.json")
    assert "not the manifest" in await refused(tmp_path / "x", "--since", broken)
    assert "not found" in await refused(tmp_path / "x", name="nobody")
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    assert "cannot be written to" in await refused(tmp_path / "file" / "x")


async def test_byte_order_mark_is_an_option_of_csv(
    export: Export, world: World, tmp_path: Path
) -> None:
    options = ("--table", "user_dim", "--bom", "--format")
    assert (await export(tmp_path, *options, "csv")).exit_code == 0
    content = (tmp_path / "user_dim.csv").read_bytes()
    assert content.startswith("\ufeffuser_id,".encode())
    assert content.count("\ufeff".encode()) == 1
    result = await export(tmp_path / "x", *options, "parquet")
    assert (result.exit_code, "only CSV has a byte order mark" in result.stderr) == (1, True)


# DuckDB


READER = """
import json, sys
import duckdb
folder, query, *names = sys.argv[1:]
with duckdb.connect() as duck:
    for name in names:
        duck.execute(f"create view {name} as from read_parquet('{folder}/{name}.parquet')")
    print(json.dumps(duck.execute(query).fetchall(), default=str))
"""


@pytest.mark.slow
async def test_vendor_query_in_duckdb_equals_postgresql(
    export: Export, services: Services, partner: Partner, world: World, tmp_path: Path
) -> None:
    await export(tmp_path)
    names = [table.name for table in REPORTS]
    command = [sys.executable, "-c", READER, str(tmp_path), VENDOR_QUERY, *names]
    answer = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    actual = json.loads(answer.stdout)
    named = ", ".join(
        f"{name} as ({tables.select(name)})".replace("$1", str(partner.partner_id))
        for name in names
    )
    rows = await services.database.readers.fetch(f"with {named} {VENDOR_QUERY}")
    expected = json.loads(json.dumps([tuple(row) for row in rows], default=str))
    assert len(actual) > 5
    assert sorted(actual, key=str) == sorted(expected, key=str)
