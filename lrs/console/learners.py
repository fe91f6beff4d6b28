"""Pages of one learner: identifiers, records, statements, documents, and changes with a preview."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import learner_changes
from lrs.admin.learner_changes import LearnerChangeView
from lrs.api import request_parsing
from lrs.api.admin import learners
from lrs.api.admin.learner_changes import learner_changes_of
from lrs.api.admin.learners import person_id
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

get_deleted_learners = twin_page(learners.get_deleted_learners, "deleted_learners.html")
get_learner = twin_page(learners.get_learner, "learner.html")
get_document = twin_page(learners.get_learner_document, "document.html")

_CHANGES: dict[str, Callable[..., Awaitable[LearnerChangeView]]] = {
    "link": learner_changes.link_identifier,
    "detach": learner_changes.detach_identifier,
    "delete": learner_changes.delete_learner,
}


@for_operators
async def get_learners(request: Request) -> Response:
    """The list; with an agent, its learner."""
    query = dict(request_parsing.query_parameters(request))
    data = await read_twin(request, learners.get_learners)
    if "agent" in query and data["learners"]:
        (learner,) = data["learners"]
        partner = request.path_params["partner"]
        return redirect(
            request, path_of("partners", partner, "learners", str(learner["person_id"]))
        )
    return page(request, "learners.html", data=data, twin=twin_path(request))


@for_operators
async def get_change(request: Request) -> Response:
    """What a change would do, in numbers; the identifier is in the query."""
    query = dict(request_parsing.query_parameters(request))
    change, name = await _change(request, query, preview=True)
    return page(request, "learner_change.html", change=change, name=name, fields=query)


@for_operators
async def post_change(request: Request) -> Response:
    form = await read_form(request)
    require_typed_name(form, str(person_id(request)))
    change, name = await _change(request, form, preview=False)
    partner = request.path_params["partner"]
    if name == "delete":
        return page(request, "learner_deleted.html", change=change)
    shown = change.into if name == "detach" and change.into else person_id(request)
    return redirect(request, path_of("partners", partner, "learners", str(shown)))


@for_operators
async def post_restore(request: Request) -> Response:
    await read_form(request)
    partner = request.path_params["partner"]
    await learner_changes.restore_learner(
        learner_changes_of(request), operator_of(request), partner, person_id(request)
    )
    return redirect(request, path_of("partners", partner, "learners", str(person_id(request))))


async def _change(
    request: Request, fields: dict[str, str], *, preview: bool
) -> tuple[LearnerChangeView, str]:
    """The change that the last segment of the path names, and this name."""
    name = str(request.scope["path"]).rpartition("/")[2]
    arguments: list[Any] = []
    if name != "delete":
        arguments = [fields.get("identifier", ""), fields.get("home_page") or None]
    change = await _CHANGES[name](
        learner_changes_of(request),
        operator_of(request),
        request.path_params["partner"],
        person_id(request),
        *arguments,
        preview=preview,
    )
    return change, name
