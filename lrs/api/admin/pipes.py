"""Pipes, for operators."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import pipes
from lrs.admin.pipe_views import detail, run_view, view
from lrs.admin.pipes import NewPipe
from lrs.admin.views import Page, decode_cursor, page
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import changes, read_body
from lrs.api.admin.partners import Empty
from lrs.api.admin.responses import (
    changed,
    expected_versions,
    json,
    list_query,
    list_response,
    no_query,
)
from lrs.api.request_parsing import services
from lrs.auth.operators import Operator
from lrs.pipes.options import Basic, Bearer, NoCredentials, OAuth2, Signed
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database
from lrs.xapi import query_params

_Credentials = NoCredentials | Basic | Bearer | OAuth2 | Signed


class _NewPipe(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    direction: Literal["pull", "forward"]
    url: str
    credentials: _Credentials = NoCredentials()
    version: str = "auto"
    filter: dict[str, Any] = {}
    options: dict[str, Any] = {}
    start: bool = False


class _PipeChange(msgspec.Struct, forbid_unknown_fields=True):
    url: str | UnsetType = UNSET
    credentials: _Credentials | UnsetType = UNSET
    version: str | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET


class _RunPosition(NamedTuple):
    started_at: datetime
    run_id: UUID


async def get_all_pipes(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request, {"partner": query_params.text})
    return await _list(request, operator, query.filters.get("partner"), query.cursor, query.limit)


async def get_pipes(request: Request) -> Response:
    operator = await authenticate_operator(request)
    query = list_query(request)
    return await _list(request, operator, request.path_params["partner"], query.cursor, query.limit)


async def post_pipes(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _NewPipe)
    partner = request.path_params["partner"]
    secret_box = services(request).secret_box
    new = NewPipe(
        body.name, body.direction, body.url, body.credentials, body.version, body.filter,
        body.options,
    )  # fmt: skip

    async def add(database: Database) -> Any:
        pipe = await pipes.add_pipe(database, operator, secret_box, partner, new)
        if body.start:
            pipe = await pipes.start_pipe(database, operator, partner, body.name)
        return detail(operator, secret_box, pipe)

    return await changed(request, operator, _without_secrets(request, body), add, status=201)


async def get_pipe(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    pipe = await pipes.get_pipe(services(request).admin_database, operator, *_path(request))
    return _object_response(request, operator, pipe)


async def patch_pipe(request: Request) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, _PipeChange)
    used = services(request)
    pipe = await pipes.set_pipe(
        used.admin_database,
        operator,
        used.secret_box,
        *_path(request),
        **changes(body),
        expected=expected_versions(request),
    )
    return _object_response(request, operator, pipe)


async def delete_pipe(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    await pipes.remove_pipe(services(request).admin_database, operator, *_path(request))
    return Response(status_code=204)


async def start_pipe(request: Request) -> Response:
    return await _change_state(request, pipes.start_pipe)


async def pause_pipe(request: Request) -> Response:
    return await _change_state(request, pipes.pause_pipe)


async def run_pipe(request: Request) -> Response:
    return await _change_state(request, pipes.run_now)


async def check_pipe(request: Request) -> Response:
    """What the other LRS answers; nothing is stored or sent."""
    operator = await authenticate_operator(request)
    await read_body(request, Empty, optional=True)
    used = services(request)
    findings = await used.pipe_checks.check_pipe(
        used.admin_database, operator, used.secret_box, *_path(request)
    )
    return json({"findings": findings})


async def get_runs(request: Request) -> Response:
    """The runs of the last 30 days that moved statements or failed, newest first."""
    operator = await authenticate_operator(request)
    query = list_query(request)
    before = decode_cursor(query.cursor, _RunPosition) if query.cursor else None
    rows = await pipes.list_runs(
        services(request).admin_database,
        operator,
        *_path(request),
        query.limit + 1,
        before=before,
    )
    run_page = page(rows, query.limit, lambda run: (run.started_at, run.run_id))
    items = [run_view(operator, run) for run in run_page.items]
    return list_response(request, "runs", Page(items, run_page.cursor))


async def _list(
    request: Request, operator: Operator, partner: str | None, cursor: str | None, limit: int
) -> Response:
    pipe_page = await pipes.list_page(
        services(request).admin_database, operator, partner, cursor=cursor, limit=limit
    )
    items = [view(operator, pipe) for pipe in pipe_page.items]
    return list_response(request, "pipes", Page(items, pipe_page.cursor))


async def _change_state(request: Request, use_case: Any) -> Response:
    operator = await authenticate_operator(request)
    body = await read_body(request, Empty, optional=True)
    secret_box = services(request).secret_box

    async def change(database: Database) -> Any:
        pipe = await use_case(database, operator, *_path(request))
        return detail(operator, secret_box, pipe)

    return await changed(request, operator, body, change)


def _object_response(request: Request, operator: Operator, pipe: Pipe) -> Response:
    """With the entity tag of what operators configure, which running does not change."""
    content = detail(operator, services(request).secret_box, pipe)
    return json(content, headers={"ETag": pipes.pipe_version(pipe)})


def _without_secrets(request: Request, body: _NewPipe) -> Any:
    """The body for the hash of a repeated request, which is kept: a password has few bits."""
    (key, *_) = services(request).secret_box.derive_keys("repeated requests")
    hashed = hmac.digest(key, msgspec.json.encode(body.credentials), "sha256").hex()
    return {**msgspec.to_builtins(body), "credentials": hashed}


def _path(request: Request) -> tuple[str, str]:
    return request.path_params["partner"], request.path_params["pipe"]
