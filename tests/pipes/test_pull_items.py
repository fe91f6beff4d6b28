"""What a pull stores: ids, times, authorities, voids, attachments, refusals."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from lrs.api.services import Services
from lrs.pipes.engine import Engine
from lrs.pipes.options import Basic, OAuth2
from lrs.store import intake, refusals, statement_origins
from lrs.store.pipes import Pipe
from lrs.store.refusals import RefusalFilter
from lrs.store.statements.partner_keys import key_salt
from tests.support.partners import Partner
from tests.support.pipes import add_pipe, run_until_waiting
from tests.support.scripted_source import (
    START,
    Reply,
    ScriptedSource,
    history,
    serving,
    stored_statement,
)
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]


async def pull(
    services: Services, partner: Partner, pulling: Engine, source: ScriptedSource, **chosen: Any
) -> Pipe:
    pipe = await add_pipe(services.database, partner.partner_id, url=source.url, **chosen)
    return await run_until_waiting(pulling, pipe)


async def stored(services: Services, partner: Partner) -> dict[str, Json]:
    rows = await services.database.readers.fetch(
        "select statement_id::text, payload, source from statement where partner_id = $1",
        partner.partner_id,
    )
    return {
        row["statement_id"]: {**orjson.loads(row["payload"]), "source": row["source"]}
        for row in rows
    }


async def test_missing_timestamp_is_the_stored_of_the_source(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(1))
    (item,) = source.statements
    del item["timestamp"]
    async with serving(source):
        await pull(services, partner, pulling, source)
    result = (await stored(services, partner))[item["id"]]
    assert result["timestamp"] == item["stored"]
    assert result["stored"] > item["stored"]


async def test_authority_is_that_of_the_pipe_and_the_origin_is_kept(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(1))
    (item,) = source.statements
    async with serving(source):
        await pull(services, partner, pulling, source)
    result = (await stored(services, partner))[item["id"]]
    account = {"homePage": partner.home_page, "name": "pipe pipe"}
    assert result["authority"] == {"objectType": "Agent", "account": account}
    assert result["source"] == 5
    (origin,) = await statement_origins.list_origins(
        services.database, partner.partner_id, UUID(item["id"])
    )
    assert origin == {
        "pipe": "pipe",
        "origin": source.url.removesuffix("/xapi"),
        "stored": START,
        "authority": item["authority"],
        "refused": False,
        "pipe_exists": True,
    }


async def test_authority_of_the_source_by_option(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(3))
    other = {"objectType": "Agent", "openid": "http://id.example/1"}
    source.statements[1]["authority"] = other
    source.statements[2]["authority"] = {
        "objectType": "Group",
        "member": [other, {"account": {"homePage": "http://oauth.example", "name": "app"}}],
    }
    expected = [item["authority"] for item in source.statements]
    async with serving(source):
        await pull(services, partner, pulling, source, authority="source")
    found = await stored(services, partner)
    result = [found[item["id"]]["authority"] for item in source.statements]
    assert result[:2] == expected[:2]
    assert result[2]["account"]["name"] == "pipe pipe"  # a group that identifies nobody


async def test_refused_items_are_in_the_ledger_once_and_the_page_goes_on(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    """Polls read them again in the overlap."""
    taken = statement(id=new_id(), result={"response": "ours"})
    await partner.send(taken)
    source = ScriptedSource(history(4), page_size=10)
    source.statements.append(
        {**stored_statement(START), "id": taken["id"], "result": {"response": "theirs"}}
    )
    source.statements.append({**stored_statement(START), "actor": {"mbox": "nobody"}})
    source.statements.append({"stored": source.statements[0]["stored"], "verb": 1})
    async with serving(source):
        pipe = await pull(services, partner, pulling, source)
        result = await run_until_waiting(pulling, pipe)
    assert result.counts == {"stored": 4, "conflict": 1, "invalid": 2}
    kept = await refusals.fetch_page(
        services.database, partner.partner_id, RefusalFilter(), before=None, limit=10
    )
    assert sorted(refusal.outcome for refusal in kept) == ["conflict", "invalid", "invalid"]
    assert {(item.source, item.credential) for item in kept} == {("pull", "pipe pipe")}


async def test_statements_that_are_here_already_are_duplicates(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(3))
    await partner.send(source.statements[:2])
    async with serving(source):
        result = await pull(services, partner, pulling, source)
    assert result.counts == {"stored": 1, "duplicate": 2}


@pytest.mark.parametrize("status", [401, 403, 404, 400, 302])
async def test_answer_that_somebody_must_mend_is_tried_every_15_minutes(
    partner: Partner, services: Services, pulling: Engine, status: int
) -> None:
    source = ScriptedSource(answer=lambda _: Reply(status, b"no\0"))
    async with serving(source):
        result = await pull(services, partner, pulling, source)
    assert (result.state, result.cursor) == ("failing", {})
    assert str(status) in (result.last_error or "")
    assert await seconds_to_next_try(services, result) > 800


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_of_the_source_is_respected(
    partner: Partner, services: Services, pulling: Engine, status: int
) -> None:
    source = ScriptedSource(answer=lambda _: Reply(status, b"", {"Retry-After": "120"}))
    async with serving(source):
        result = await pull(services, partner, pulling, source)
    assert result.state == "failing"
    assert 100 < await seconds_to_next_try(services, result) <= 120


async def seconds_to_next_try(services: Services, pipe: Pipe) -> float:
    return float(
        await services.database.readers.fetchval(
            "select extract(epoch from next_try_at - now()) from pipe"
            " where partner_id = $1 and name = $2",
            pipe.partner_id,
            pipe.name,
        )
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"statements": 1}', b"[1", b'{"statements": [1], "more": 1}']
)
async def test_page_that_is_no_statement_result_fails(
    partner: Partner, services: Services, pulling: Engine, body: bytes
) -> None:
    source = ScriptedSource(answer=lambda _: Reply(200, body))
    async with serving(source):
        result = await pull(services, partner, pulling, source)
    assert result.state == "failing"


async def test_redirect_to_another_origin_is_not_followed(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    """The credentials stay at the configured origin."""
    async with serving(ScriptedSource(history(1))) as other:
        location = {"Location": f"{other.url}/statements"}
        source = ScriptedSource(answer=lambda _: Reply(307, b"", location))
        async with serving(source):
            result = await pull(
                services, partner, pulling, source, credentials=Basic("key", "secret")
            )
        assert "another origin" in (result.last_error or "")
        assert other.requests == []


async def test_redirect_within_the_origin_is_followed(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(2), path="/moved/statements")
    async with serving(source):
        moved = {"Location": "/moved/statements"}
        source.answer = lambda request: (
            Reply(302, b"", moved) if request.path.startswith("/xapi") else None
        )
        source.url = source.url.replace("/moved", "/xapi")
        result = await pull(services, partner, pulling, source, credentials=Basic("k", "s"))
    assert result.counts == {"stored": 2}
    assert all("authorization" in request.headers for request in source.requests)


@pytest.mark.parametrize("url", ["http://169.254.169.254/xapi", "http://[fe80::1]/xapi"])
async def test_link_local_address_is_refused(
    partner: Partner, services: Services, pulling: Engine, url: str
) -> None:
    pipe = await add_pipe(services.database, partner.partner_id, url=url)
    result = await run_until_waiting(pulling, pipe)
    assert "link-local" in (result.last_error or "")


async def test_pull_from_this_server_has_voids_and_attachments(
    partner: Partner, stranger: Partner, services: Services, pulling: Engine, server: str
) -> None:
    """The voided statement comes too, though lists do not have it; and the bytes of attachments."""
    content = b"attachment"
    digest = hashlib.sha256(content).hexdigest()
    attachment = {
        "usageType": "http://example.com/a", "display": {"en": "a"}, "sha2": digest,
        "contentType": "text/plain", "length": len(content),
    }  # fmt: skip
    with_attachment = statement(id=new_id(), attachments=[attachment])
    voided = statement(id=new_id())
    void = statement(
        id=new_id(),
        verb={"id": "http://adlnet.gov/expapi/verbs/voided"},
        object={"objectType": "StatementRef", "id": voided["id"]},
    )
    body = (
        b"--X\r\nContent-Type: application/json\r\n\r\n" + orjson.dumps(with_attachment)
        + b"\r\n--X\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n"
        + b"X-Experience-API-Hash: " + digest.encode() + b"\r\n\r\n" + content + b"\r\n--X--"
    )  # fmt: skip
    await stranger.send([voided, void, statement(id=new_id())])
    async with httpx.AsyncClient(base_url=server) as http:
        sent = await http.post(
            "/xapi/statements",
            content=body,
            headers={**XAPI, "Content-Type": "multipart/mixed; boundary=X"},
            auth=(stranger.key, stranger.secret),
        )
        assert sent.status_code == 200, sent.text
    credentials = OAuth2(f"{server}/oauth2/token", stranger.key, stranger.secret)
    pipe = await add_pipe(
        services.database, partner.partner_id, url=f"{server}/xapi", credentials=credentials
    )
    result = await run_until_waiting(pulling, pipe)
    assert (result.state, result.counts) == ("waiting", {"stored": 4}), result.last_error
    ours, theirs = await stored(services, partner), await stored(services, stranger)
    assert ours.keys() == theirs.keys()
    for statement_id, item in ours.items():
        for name in ("stored", "authority", "source"):
            item.pop(name), theirs[statement_id].pop(name)
        assert item == theirs[statement_id]
    assert await services.database.readers.fetchval(
        "select count(*) from attachment where partner_id = $1", partner.partner_id
    )


async def test_rate_pauses_between_pages(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    async with serving(ScriptedSource(history(6))) as source:
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url, rate=100.0)
        claimed = await pulling.claim((pipe.partner_id, pipe.name))
        assert claimed is not None
        result = await pulling.run_slice(claimed)
    assert result.counts == {"stored": 6}


async def test_counts_of_the_ledger_name_the_pipe(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    async with serving(ScriptedSource(history(5, timedelta(0)))) as source:
        await pull(services, partner, pulling, source)
    names = await intake.load_names(services.database.readers, partner.partner_id)
    key = await services.database.readers.fetchval(
        "select distinct authority_key from statement where partner_id = $1", partner.partner_id
    )
    salt = key_salt(partner.partner_id)
    assert {number ^ salt for number in names if names[number] == "pipe pipe"} == {key}
