"""Pages of pipes and their dead letters, and the forms that change them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import pipe_letters, pipes
from lrs.admin.pipe_check import MAX_SECONDS
from lrs.admin.pipes import VERSIONS, NewPipe
from lrs.api.admin import pipe_letters as admin_letters
from lrs.api.admin import pipes as admin_pipes
from lrs.api.request_parsing import services
from lrs.auth.operators import Operator
from lrs.console import pipe_forms
from lrs.console.pages import (
    Form,
    Handler,
    database_of,
    for_operators,
    operator_of,
    page,
    path_of,
    read_form,
    read_twin,
    redirect,
    require_typed_name,
    twin_page,
    twin_path,
)
from lrs.errors import LRSError
from lrs.pipes.options import NoCredentials
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database

_ROWS = "50"
_SHOWN_ERRORS = (400, 409, 413)

UseCase = Callable[[Database, Operator, str, str], Awaitable[Pipe]]

get_all_pipes = twin_page(admin_pipes.get_all_pipes, "pipes.html", "/pipes")
get_pipes = twin_page(admin_pipes.get_pipes, "pipes.html")


@for_operators
async def get_pipe(request: Request) -> Response:
    data = await read_twin(request, admin_pipes.get_pipe)
    rows = {"limit": _ROWS}
    runs = await read_twin(request, admin_pipes.get_runs, rows)
    letters = await read_twin(request, admin_letters.get_letters, rows)
    return page(
        request,
        "pipe.html",
        data=data,
        runs=runs,
        letters=letters,
        seconds=MAX_SECONDS,
        twin=twin_path(request),
    )


@for_operators
async def get_runs(request: Request) -> Response:
    return await _list_page(request, admin_pipes.get_runs, "pipe_runs.html")


@for_operators
async def get_letters(request: Request) -> Response:
    return await _list_page(request, admin_letters.get_letters, "pipe_letters.html")


@for_operators
async def get_add(request: Request) -> Response:
    direction = pipe_forms.direction_of(request.query_params.get("direction", "pull"))
    operator_of(request).require("operator")
    await read_twin(request, admin_pipes.get_pipes, {"limit": "1"})  # 404 for another partner
    return _form_page(request, direction, {})


@for_operators
async def post_add(request: Request) -> Response:
    form = await read_form(request)
    direction = pipe_forms.direction_of(form.get("direction", ""))
    partner, name = request.path_params["partner"], form.get("name", "").strip()
    database, operator = database_of(request), operator_of(request)
    try:
        new = NewPipe(
            name,
            direction,
            form.get("url", "").strip(),
            pipe_forms.credentials_of(form) or NoCredentials(),
            pipe_forms.version_of(form),
            **_without_empty(pipe_forms.changes_of(form, direction, {})),
        )
        secret_box = services(request).secret_box
        await pipes.add_pipe(database, operator, secret_box, partner, new)
    except LRSError as error:
        return _form_again(request, error, direction, form)
    if form.get("starts"):
        await pipes.start_pipe(database, operator, partner, name)
    return redirect(request, path_of("partners", partner, "pipes", name))


@for_operators
async def get_change(request: Request) -> Response:
    data = await read_twin(request, admin_pipes.get_pipe, {})
    operator_of(request).require("operator")
    return _form_page(request, data["direction"], pipe_forms.values_of(data), pipe=data)


@for_operators
async def post_change(request: Request) -> Response:
    """Changes what differs: what is sent of `since` or `start` begins the pipe there again."""
    form = await read_form(request)
    data = await read_twin(request, admin_pipes.get_pipe, {})
    direction = data["direction"]
    try:
        await pipes.set_pipe(
            database_of(request),
            operator_of(request),
            services(request).secret_box,
            *_path(request),
            url=form.get("url", "").strip(),
            credentials=pipe_forms.credentials_of(form),
            version=pipe_forms.version_of(form),
            **pipe_forms.changes_of(form, direction, pipe_forms.values_of(data)),
        )
    except LRSError as error:
        return _form_again(request, error, direction, form, pipe=data)
    return _to_pipe(request)


@for_operators
async def post_start(request: Request) -> Response:
    return await _change_state(request, pipes.start_pipe)


@for_operators
async def post_pause(request: Request) -> Response:
    return await _change_state(request, pipes.pause_pipe)


@for_operators
async def post_run(request: Request) -> Response:
    return await _change_state(request, pipes.run_now)


@for_operators
async def post_test(request: Request) -> Response:
    await read_form(request)
    used = services(request)
    findings = await used.pipe_checks.check_pipe(
        used.admin_database, operator_of(request), used.secret_box, *_path(request)
    )
    return page(request, "pipe_test.html", name=_path(request)[1], findings=findings)


@for_operators
async def get_remove(request: Request) -> Response:
    data = await read_twin(request, admin_pipes.get_pipe, {})
    return page(request, "pipe_remove.html", data=data)


@for_operators
async def post_remove(request: Request) -> Response:
    form = await read_form(request)
    partner, name = _path(request)
    require_typed_name(form, name)
    await pipes.remove_pipe(database_of(request), operator_of(request), partner, name)
    return redirect(request, path_of("partners", partner, "pipes"))


@for_operators
async def post_retry_all(request: Request) -> Response:
    await read_form(request)
    await pipe_letters.retry_letters(
        database_of(request), operator_of(request), *_path(request), None
    )
    return _to_pipe(request)


@for_operators
async def get_drop_all(request: Request) -> Response:
    data = await read_twin(request, admin_pipes.get_pipe, {})
    return page(request, "pipe_drop.html", data=data)


@for_operators
async def post_drop_all(request: Request) -> Response:
    form = await read_form(request)
    require_typed_name(form, _path(request)[1])
    await pipe_letters.drop_letters(
        database_of(request), operator_of(request), *_path(request), None
    )
    return _to_pipe(request)


@for_operators
async def get_letter(request: Request) -> Response:
    return await _letter_page(request)


@for_operators
async def post_letter_retry(request: Request) -> Response:
    """Sends a dead letter again; with the text of the form, if that is sent."""
    form = await read_form(request, services(request).settings.max_body_bytes)
    text = form.get("item", "").replace("\r\n", "\n")
    database, operator = database_of(request), operator_of(request)
    statement_id = admin_letters.letter_id(request)
    if not text.strip():
        await pipe_letters.retry_letters(database, operator, *_path(request), [statement_id])
        return _to_pipe(request)
    max_bytes = services(request).settings.max_xapi_statement_bytes
    try:
        await pipe_letters.correct_letter(
            database, operator, *_path(request), statement_id, text.encode(), max_bytes
        )
    except LRSError as error:
        if error.status not in _SHOWN_ERRORS:
            raise
        return await _letter_page(request, error.status, error=error.problem(), text=text)
    return _to_pipe(request)


@for_operators
async def post_letter_drop(request: Request) -> Response:
    await read_form(request)
    ids = [admin_letters.letter_id(request)]
    await pipe_letters.drop_letters(
        database_of(request), operator_of(request), *_path(request), ids
    )
    return _to_pipe(request)


async def _list_page(request: Request, twin: Handler, template: str) -> Response:
    data = await read_twin(request, twin)
    name = request.path_params["pipe"]
    return page(request, template, data=data, name=name, twin=twin_path(request))


async def _letter_page(request: Request, status: int = 200, **values: Any) -> Response:
    data = await read_twin(request, admin_letters.get_letter, {})
    pipe = await read_twin(request, admin_pipes.get_pipe, {})
    context = {"error": None, "text": None, **values}
    twin = twin_path(request, "/partners/{partner}/pipes/{pipe}/letters/{letter}")
    return page(request, "pipe_letter.html", status, data=data, pipe=pipe, twin=twin, **context)


async def _change_state(request: Request, use_case: UseCase) -> Response:
    await read_form(request)
    await use_case(database_of(request), operator_of(request), *_path(request))
    return _to_pipe(request)


def _form_page(
    request: Request,
    direction: str,
    values: Form,
    status: int = 200,
    *,
    pipe: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> Response:
    filters = pipe_forms.FILTERS[direction]
    return page(
        request,
        "pipe_form.html",
        status,
        direction=direction,
        values=values,
        pipe=pipe,
        error=error,
        versions=VERSIONS,
        options=pipe_forms.OPTIONS[direction],
        filters=filters,
        has_filter=any(values.get(f"filter.{field.name}") for field in filters),
        kinds=pipe_forms.CREDENTIALS[direction],
    )


def _form_again(
    request: Request,
    error: LRSError,
    direction: str,
    form: Form,
    *,
    pipe: dict[str, Any] | None = None,
) -> Response:
    """The form with the error. Raises an error that has another cause than the form."""
    if error.status not in _SHOWN_ERRORS:
        raise error
    values = pipe_forms.kept_values(form)
    return _form_page(request, direction, values, error.status, pipe=pipe, error=error.problem())


def _without_empty(changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        group: {name: value for name, value in members.items() if value is not None}
        for group, members in changes.items()
    }


def _to_pipe(request: Request) -> Response:
    partner, name = _path(request)
    return redirect(request, path_of("partners", partner, "pipes", name))


def _path(request: Request) -> tuple[str, str]:
    return request.path_params["partner"], request.path_params["pipe"]
