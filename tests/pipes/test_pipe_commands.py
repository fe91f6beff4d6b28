"""`lrs pipe` and `lrs import`: what operators do with pipes."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.auth.rekey import rekey
from lrs.auth.secret_box import SecretBox
from lrs.pipes.options import Basic
from lrs.store import pipes as store
from tests.support.app import SECRET_KEY
from tests.support.partners import Partner
from tests.support.pipes import add_pipe
from tests.support.scripted_source import history

Run = Callable[..., Result]


@pytest.mark.slow
def test_pipe_pulls_from_this_server_and_stays_up_to_date(
    partner: Partner, stranger: Partner, run: Run, server: str, tmp_path: Path,
) -> None:  # fmt: skip
    secret = tmp_path / "secret"
    secret.write_text(stranger.secret)
    name = partner.name
    added = run(
        "pipe", "add", name, "history", f"{server}/xapi", "--pull", "--key", stranger.key,
        "--secret-file", str(secret),
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    assert stranger.secret not in added.output
    tested = run("pipe", "test", name, "history", "--json")
    assert tested.exit_code == 0, tested.output
    results = {row["check"]: row["result"] for row in orjson.loads(tested.output)}
    assert results["endpoint"] == results["attachments"] == results["watermark"] == "ok"
    pulled = run("pipe", "run", name, "history", "--until-idle", "--json")
    assert pulled.exit_code == 0, pulled.output
    assert orjson.loads(pulled.output)["state"] == "waiting"
    assert run("pipe", "pause", name, "history").exit_code == 0
    refused = run("pipe", "run", name, "history")
    assert "start it first" in refused.output
    assert run("pipe", "set", name, "history", "--every", "5", "--filter", "verb=http://v.w/x")
    status = orjson.loads(run("pipe", "status", name, "history", "--json").output)
    assert status["filter"] == {"verb": "http://v.w/x"}
    assert status["options"] == {"every": 5.0}
    assert run("pipe", "remove", name, "history").exit_code == 0
    assert "not found" in run("pipe", "status", name, "history").output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["http://u:p@h/xapi", "--pull"], "no user and password"),
        (["ftp://h/xapi", "--pull"], "expected an http or https URL"),
        (["http://h/xapi"], "--pull or --forward"),
        (["http://h/xapi", "--pull", "--since", "yesterday"], "since"),
        (["http://h/xapi", "--pull", "--every", "0"], "every"),
        (["http://h/xapi", "--pull", "--batch", "5"], "batch"),
        (["http://h/xapi", "--pull", "--filter", "color=red"], "color"),
        (["http://h:99999/xapi", "--pull"], "URL"),
    ],
)
def test_invalid_option_is_refused_with_its_name(
    partner: Partner, run: Run, arguments: list[str], sentence: str
) -> None:
    result = run("pipe", "add", partner.name, "x", *arguments)
    assert result.exit_code in (1, 2)
    assert sentence in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ndjson", "gzip", "lrsql", "learning-locker"])
async def test_import_stores_the_statements_of_a_file_once(
    partner: Partner, services: Services, run: Run, tmp_path: Path, form: str
) -> None:
    items = history(5)
    items[1]["context"] = {"extensions": {"http://example.com/x": 1}}
    lines = [orjson.dumps(item) for item in items]
    if form == "lrsql":
        lines = [orjson.dumps({"id": n, "payload": item}) for n, item in enumerate(items)]
    if form == "learning-locker":
        escaped = [
            line.replace(b"http://example.com/x", b"http://example&46;com/x") for line in lines
        ]
        lines = [b'{"_id": {"$oid": "1"}, "statement": %b}' % line for line in escaped]
    content = b"\xef\xbb\xbf" + b"\r\n\n".join([*lines, b'{"broken'])
    path = tmp_path / "export"
    path.write_bytes(gzip.compress(content) if form == "gzip" else content)
    first = await asyncio.to_thread(run, "import", partner.name, str(path))
    assert first.exit_code == 0, first.output
    assert first.output.splitlines()[:2] == ["invalid\t1", "stored\t5"]
    again = await asyncio.to_thread(run, "import", partner.name, str(path))
    assert "stored\t5" in again.output
    rows = await services.database.readers.fetch(
        "select payload from statement where partner_id = $1 order by sequence", partner.partner_id
    )
    found = [orjson.loads(row["payload"]) for row in rows]
    assert [item["id"] for item in found] == [item["id"] for item in items]
    assert found[1]["context"] == items[1]["context"]


async def test_rekey_encrypts_credentials_of_pipes_again(
    partner: Partner, services: Services
) -> None:
    key = "another secret key of 32 characters"
    await add_pipe(services.database, partner.partner_id, credentials=Basic("key", "hush"))
    try:
        await rekey(services.database, SecretBox(key, SECRET_KEY))
        pipe = await store.get(services.database, partner.partner_id, "pipe")
        assert b"hush" in SecretBox(key).decrypt(pipe.credentials_jwe)
    finally:
        await rekey(services.database, SecretBox(SECRET_KEY, key))
