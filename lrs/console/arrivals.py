"""Pages of what arrives: overview, denied requests, refused items."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import credentials, refusals, submissions
from lrs.api import batch_results, refusal_views
from lrs.api.admin import intake
from lrs.api.admin.submissions import submitter
from lrs.api.request_parsing import services
from lrs.auth import scopes
from lrs.console.pages import (
    database_of,
    for_operators,
    operator_of,
    page,
    path_of,
    read_form,
    read_twin,
    redirect,
    twin_page,
    twin_path,
)
from lrs.errors import InvalidStatement, LRSError, MalformedJSON, NotFound, TooLarge
from lrs.ingest.model import ACCEPTED, Outcome

_TEST_MINUTES = 5
_SAMPLE = """{
  "actor": {"mbox": "mailto:learner@example.com", "name": "A learner"},
  "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
  "object": {"id": "https://example.com/courses/1"}
}"""

get_overview = twin_page(intake.get_overview, "overview.html", "/overview")


get_attempts = twin_page(intake.get_attempts, "attempts.html", "/attempts")


async def arrivals_of(request: Request) -> Any:
    """What the partner in the path has sent. Raises NotFound."""
    name = request.path_params["partner"]
    overview = await read_twin(request, intake.get_overview, {"partner": name})
    return overview["partners"][0]


@for_operators
async def get_connect(request: Request) -> Response:
    return await _connect_page(request)


async def _connect_page(request: Request, **values: Any) -> Response:
    data = await read_twin(request, intake.get_attempts)
    arrived = await arrivals_of(request)
    twin = twin_path(request, "/partners/{partner}/attempts")
    context = {"checked": None, "problem": None, "item": _SAMPLE, "form": "statements", **values}
    return page(request, "connect.html", data=data, arrived=arrived, twin=twin, **context)


@for_operators
async def post_check(request: Request) -> Response:
    """The dry run of a sample: what would become of it, in the words that its sender would see."""
    form = await read_form(request, services(request).settings.max_body_bytes)
    item, kind = form.get("item", "").replace("\r\n", "\n"), form.get("form", "statements")
    try:
        outcomes, _ = await submissions.check_items(
            submitter(request),
            operator_of(request),
            request.path_params["partner"],
            item.encode(),
            is_track=kind == "track",
        )
    except (MalformedJSON, TooLarge) as error:
        return await _connect_page(request, problem=error.problem(), item=item, form=kind)
    checked = batch_results.results(outcomes)["results"]
    return await _connect_page(request, checked=checked, item=item, form=kind)


@for_operators
async def post_connect(request: Request) -> Response:
    """A credential that ends soon, with the commands that use it."""
    await read_form(request)
    issued = await credentials.add_credential(
        database_of(request),
        operator_of(request),
        request.path_params["partner"],
        label="connection test",
        granted=(scopes.STATEMENTS_WRITE, scopes.STATEMENTS_READ_MINE),
        expires_at=datetime.now(UTC) + timedelta(minutes=_TEST_MINUTES),
    )
    return page(request, "secret.html", issued=issued, is_test=True)


@for_operators
async def get_refusals(request: Request) -> Response:
    data = await read_twin(request, intake.get_refusals)
    reasons = (await read_twin(request, intake.get_reasons, {}))["reasons"]
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
    data = await read_twin(request, intake.get_refusal, {})
    context = {"sent": None, "error": None, "body": None, "statement_id": None, **values}
    twin = twin_path(request, "/partners/{partner}/refusals/{refusal}")
    return page(request, "refusal.html", status, data=data, twin=twin, **context)
