"""Pages that help a partner to connect: denied requests, a check of a sample, a test credential."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import credentials, submissions
from lrs.api import batch_results
from lrs.api.admin import attempts
from lrs.api.admin.submissions import submitter
from lrs.api.request_parsing import services
from lrs.auth import scopes
from lrs.console.overview import overview_of
from lrs.console.pages import (
    database_of,
    for_operators,
    operator_of,
    page,
    read_form,
    read_twin,
    twin_page,
    twin_path,
)
from lrs.errors import MalformedJSON, TooLarge

_TEST_MINUTES = 5
_SAMPLE = """{
  "actor": {"mbox": "mailto:learner@example.com", "name": "A learner"},
  "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
  "object": {"id": "https://example.com/courses/1"}
}"""

get_attempts = twin_page(attempts.get_attempts, "attempts.html", "/attempts")


@for_operators
async def get_connect(request: Request) -> Response:
    return await _connect_page(request)


async def _connect_page(request: Request, **values: Any) -> Response:
    data = await read_twin(request, attempts.get_attempts)
    arrived = await overview_of(request)
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
