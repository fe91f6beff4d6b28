"""Statements that operators submit: voiding, and the dry run of a sample."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import submissions
from lrs.admin.submissions import Submitter
from lrs.api import batch_results, request_parsing
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import read_body
from lrs.api.admin.learning import statement_id
from lrs.api.admin.responses import SECTION, json, no_query
from lrs.api.request_parsing import services
from lrs.xapi import query_params


class _Voiding(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


async def void_statement(request: Request) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    body = await read_body(request, _Voiding, optional=True)
    partner = request.path_params["partner"]
    done = await submissions.void_statement(
        submitter(request), operator, partner, statement_id(request), body.reason
    )
    return json(done, 201)


async def check_items(request: Request) -> Response:
    """What would become of the statements or track events in the body; nothing is stored."""
    operator = await authenticate_operator(request)
    query = query_params.parse(
        request_parsing.query_parameters(request), {"form": _form}, section=SECTION
    )
    request_parsing.require_json(request)
    body = await request_parsing.read_body(request, services(request).settings.max_body_bytes)
    outcomes, _ = await submissions.check_items(
        submitter(request),
        operator,
        request.path_params["partner"],
        body,
        is_track=query.get("form") == "track",
    )
    return json(batch_results.results(outcomes) | {"dry_run": True})


def submitter(request: Request) -> Submitter:
    """Where statements of this request are submitted."""
    used = services(request)
    return Submitter(used.admin_database, used.pipeline, used.statement_loader, used.settings)


def _form(text: str) -> str:
    if text not in ("statements", "track"):
        raise ValueError("statements or track")
    return text
