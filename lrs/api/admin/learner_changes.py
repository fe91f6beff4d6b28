"""Changes of learners, for operators; `preview` is a dry run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import learner_changes
from lrs.admin.learner_changes import LearnerChanges, LearnerChangeView
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.bodies import read_body
from lrs.api.admin.learners import person_id
from lrs.api.admin.responses import json, no_query
from lrs.api.request_parsing import services


class _Identified(msgspec.Struct, forbid_unknown_fields=True):
    identifier: str
    home_page: str | None = None
    preview: bool = False


class _Preview(msgspec.Struct, forbid_unknown_fields=True):
    preview: bool = False


async def link_identifier(request: Request) -> Response:
    return await _change_identifier(request, learner_changes.link_identifier)


async def detach_identifier(request: Request) -> Response:
    return await _change_identifier(request, learner_changes.detach_identifier)


async def delete_learner(request: Request) -> Response:
    return await _change(request, learner_changes.delete_learner)


async def restore_learner(request: Request) -> Response:
    return await _change(request, learner_changes.restore_learner)


async def _change_identifier(
    request: Request, change: Callable[..., Awaitable[LearnerChangeView]]
) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    body = await read_body(request, _Identified)
    done = await change(
        learner_changes_of(request),
        operator,
        request.path_params["partner"],
        person_id(request),
        body.identifier,
        body.home_page,
        preview=body.preview,
    )
    return json(done)


async def _change(
    request: Request, change: Callable[..., Awaitable[LearnerChangeView]]
) -> Response:
    operator = await authenticate_operator(request)
    no_query(request)
    body = await read_body(request, _Preview, optional=True)
    partner = request.path_params["partner"]
    used = learner_changes_of(request)
    return json(await change(used, operator, partner, person_id(request), preview=body.preview))


def learner_changes_of(request: Request) -> LearnerChanges:
    """Where the learners are changed, for requests of this worker."""
    used = services(request)
    return LearnerChanges(used.admin_database, used.partner_lock, used.vocabulary)
