"""Pages of statements and reports."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import submissions
from lrs.api import request_parsing
from lrs.api.admin import learning, statements
from lrs.api.admin import submissions as admin_submissions
from lrs.console.pages import (
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
from lrs.errors import InvalidParameter
from lrs.projection.learning_summary import GROUPS
from lrs.reports.tables import TABLES

_SHA1 = re.compile("[0-9a-f]{40}")
_FILTERS = ("organization", "credential")
_PAGE_SIZE = "50"

get_statement = twin_page(learning.get_statement, "statement.html")


@for_operators
async def get_statements(request: Request) -> Response:
    """The statements of a partner, or of the organization or credential in the path."""
    query = dict(request_parsing.query_parameters(request))
    if (target := _target(request, query)) is not None:
        return redirect(request, target)
    data = await read_twin(request, statements.get_statements, {"limit": _PAGE_SIZE, **query})
    return page(request, "statements.html", data=data, twin=twin_path(request))


def _target(request: Request, query: dict[str, str]) -> str | None:
    """Where a form leads: an organization and a credential are in the path, an agent is JSON."""
    kept = {name: value for name, value in query.items() if name not in _FILTERS}
    if "agent" in query:
        kept["agent"] = agent_of(query["agent"])
    if kept == query:
        return None
    if query.get("organization") and query.get("credential"):
        raise InvalidParameter("Filter for an organization or for a credential, not for both.")
    segments = ["partners", request.path_params["partner"]]
    for name in _FILTERS:
        if query.get(name):
            segments += [f"{name}s", query[name]]
    path = path_of(*segments, "statements")
    return f"{path}?{urlencode(kept)}" if kept else path


def agent_of(text: str) -> str:
    """The JSON of an agent that an operator names by its mail address, hash or OpenID."""
    text = text.strip()
    if text.startswith("{"):
        return text
    if _SHA1.fullmatch(text):
        agent: dict[str, Any] = {"mbox_sha1sum": text}
    elif text.startswith(("http://", "https://")):
        agent = {"openid": text}
    else:
        agent = {"mbox": f"mailto:{text.removeprefix('mailto:')}"}
    return json.dumps(agent, separators=(",", ":"))


@for_operators
async def get_reports(request: Request) -> Response:
    data = await read_twin(request, learning.get_summary)
    return page(
        request,
        "reports.html",
        data=data,
        groups=GROUPS,
        tables=list(TABLES.values()),
        twin=twin_path(request),
    )


@for_operators
async def get_void(request: Request) -> Response:
    """What a voiding would do: a page of its own."""
    data = await read_twin(request, learning.get_statement)
    return page(request, "void.html", data=data)


@for_operators
async def post_void(request: Request) -> Response:
    form = await read_form(request)
    partner, statement = request.path_params["partner"], request.path_params["statement"]
    require_typed_name(form, statement)
    await submissions.void_statement(
        admin_submissions.submitter(request),
        operator_of(request),
        partner,
        learning.statement_id(request),
        form.get("reason", ""),
    )
    return redirect(request, path_of("partners", partner, "statements", statement))
