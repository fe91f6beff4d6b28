"""Pages of refused items: list, one item, resubmission."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import refusals
from lrs.api import refusal_views
from lrs.api.admin import refusals as twins
from lrs.api.request_parsing import services
from lrs.console.pages import (
    database_of,
    for_operators,
    operator_of,
    page,
    path_of,
    read_form,
    read_twin,
    redirect,
    twin_path,
)
from lrs.errors import InvalidStatement, LRSError, NotFound
from lrs.ingest.model import ACCEPTED, Outcome


@for_operators
async def get_refusals(request: Request) -> Response:
    data = await read_twin(request, twins.get_refusals)
    reasons = (await read_twin(request, twins.get_reasons, {}))["reasons"]
    return page(request, "refusals.html", data=data, reasons=reasons, twin=twin_path(request))


@for_operators
async def get_refusal(request: Request) -> Response:
    return await _refusal_page(request)


@for_operators
async def post_resubmit(request: Request) -> Response:
    form = await read_form(request, services(request).settings.max_body_bytes)
    item = form.get("item", "").replace("\r\n", "\n")
    try:
        sent = await refusals.resubmit_refusal(
            database_of(request),
            operator_of(request),
            services(request).pipeline,
            services(request).settings,
            request.path_params["partner"],
            refusal_views.refusal_id(request),
            item.encode() or None,
        )
    except NotFound:
        raise
    except LRSError as error:
        return await _refusal_page(request, error.status, error=error.problem(), body=item)
    return await _resubmitted(request, sent.outcomes, item)


@for_operators
async def post_drop(request: Request) -> Response:
    await read_form(request)
    name = request.path_params["partner"]
    operator, refusal_id = operator_of(request), refusal_views.refusal_id(request)
    await refusals.drop_refusal(database_of(request), operator, name, refusal_id)
    return redirect(request, path_of("partners", name, "refusals"))


async def _resubmitted(request: Request, outcomes: list[Outcome], item: str) -> Response:
    refused = [outcome for outcome in outcomes if outcome.kind not in ACCEPTED]
    if refused:
        error = refused[0].problem or InvalidStatement("The item was refused.")
        return await _refusal_page(request, error.status, error=error.problem(), body=item)
    kinds = ", ".join(outcome.kind for outcome in outcomes)
    stored = outcomes[0].statement_id if len(outcomes) == 1 else None
    return await _refusal_page(request, sent=kinds, statement_id=stored, body=item)


async def _refusal_page(request: Request, status: int = 200, **values: Any) -> Response:
    data = await read_twin(request, twins.get_refusal, {})
    context = {"sent": None, "error": None, "body": None, "statement_id": None, **values}
    twin = twin_path(request, "/partners/{partner}/refusals/{refusal}")
    return page(request, "refusal.html", status, data=data, twin=twin, **context)
