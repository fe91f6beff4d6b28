"""Learners: list, merge, detachment of identifiers, rename, deletion, restoration (scope `admin`).

`preview=true` is a dry run of a change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, request_parsing, struct_bodies, urls
from lrs.api.audited import audited
from lrs.api.responses import json_response, timestamp
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.people import changes, learners
from lrs.people.changes import LearnerChange
from lrs.people.learners import Learner, LearnerIdentifier
from lrs.reports import identifiers
from lrs.reports.identifiers import Identifier
from lrs.xapi import query_params, strict_json

_SECTION = "Learners"
_MAX_BODY_BYTES = 65_536

Body = TypeVar("Body", bound=msgspec.Struct)


class MergeRequest(msgspec.Struct, forbid_unknown_fields=True):
    into: str


class DetachRequest(msgspec.Struct, forbid_unknown_fields=True):
    identifier: str
    home_page: str | None = None


class RenameRequest(msgspec.Struct, forbid_unknown_fields=True):
    user: str | None = None
    first_name: str | None = None
    last_name: str | None = None


async def get_learners(request: Request) -> Response:
    caller = await access.authorize_partner(request, scopes.ADMIN)
    services = request_parsing.services(request)
    query = query_params.parse(
        request_parsing.query_parameters(request), _LIST_PARSERS, section=_SECTION
    )
    max_limit = services.settings.max_page_size
    limit = min(query.get("limit", 0) or max_limit, max_limit)
    page = await learners.fetch_page(
        services.database.readers,
        caller.partner_id,
        after=query.get("cursor", 0),
        limit=limit + 1,
        imported=query.get("imported"),
        deleted=query.get("deleted", False),
    )
    more = urls.next_page(request, str(page[limit - 1].user_id)) if len(page) > limit else ""
    return json_response({"learners": [_serialize(item) for item in page[:limit]], "more": more})


async def get_learner(request: Request) -> Response:
    caller, _ = await _authorize(request, {})
    pool = request_parsing.services(request).database.readers
    learner = await learners.find(
        pool, caller.partner_id, _path_learner(request, caller), include_deleted=True
    )
    return json_response(_serialize(learner))


@audited("learner.merge")
async def merge_learner(request: Request) -> Response:
    caller, preview = await _authorize(request)
    into = _learner(caller, (await _read(request, MergeRequest)).into)
    return await _change(request, caller, partial(changes.merge, into=into), preview=preview)


@audited("learner.detach")
async def detach_identifier(request: Request) -> Response:
    caller, preview = await _authorize(request)
    body = await _read(request, DetachRequest)
    identifier = identifiers.parse_identifier(body.identifier, body.home_page, caller.home_page)
    change = partial(changes.detach, identifier=identifier)
    return await _change(request, caller, change, preview=preview)


@audited("learner.rename")
async def rename_learner(request: Request) -> Response:
    caller, preview = await _authorize(request)
    body = await _read(request, RenameRequest)
    change = partial(changes.rename, **msgspec.structs.asdict(body))
    return await _change(request, caller, change, preview=preview)


@audited("learner.delete")
async def delete_learner(request: Request) -> Response:
    caller, preview = await _authorize(request)
    return await _change(request, caller, changes.delete, preview=preview)


@audited("learner.restore")
async def restore_learner(request: Request) -> Response:
    caller, preview = await _authorize(request)
    await request_parsing.read_body(request, 0)
    change = partial(changes.restore, vocabulary=request_parsing.services(request).vocabulary)
    return await _change(request, caller, change, preview=preview)


async def _change(
    request: Request,
    caller: Caller,
    change: Callable[..., Awaitable[LearnerChange]],
    *,
    preview: bool,
) -> Response:
    """The response to a change of the learner in the path."""
    done = await change(
        request_parsing.services(request).partner_lock,
        caller.partner_id,
        _path_learner(request, caller),
        preview=preview,
    )
    return _response(done, preview)


async def _authorize(
    request: Request, parsers: dict[str, query_params.Parser] | None = None
) -> tuple[Caller, bool]:
    """The caller, and whether the request is a dry run."""
    caller = await access.authorize_partner(request, scopes.ADMIN)
    query = query_params.parse(
        request_parsing.query_parameters(request),
        {"preview": query_params.boolean} if parsers is None else parsers,
        section=_SECTION,
    )
    return caller, bool(query.get("preview", False))


async def _read(request: Request, body_type: type[Body]) -> Body:
    """The JSON body. Raises InvalidParameter, which names the member."""
    request_parsing.require_json(request)
    body = strict_json.loads(await request_parsing.read_body(request, _MAX_BODY_BYTES))
    value = struct_bodies.convert(body, body_type, _SECTION)
    for name, text in msgspec.structs.asdict(value).items():
        if text and "\0" in text:
            detail = "expected a text without NUL"
            violation = Violation(f"/{name}", detail, _SECTION)
            raise InvalidParameter(
                f"The body is invalid /{name}: {detail}.", violations=[violation]
            )
    return value


def _path_learner(request: Request, caller: Caller) -> Identifier:
    name: str = request.path_params["learner"]
    if "\0" in name:
        raise NotFound("Learner not found.")
    return _learner(caller, name)


def _learner(caller: Caller, text: str) -> Identifier:
    return identifiers.parse_learner(
        text, caller.home_page, folds_case=caller.partner_settings.fold_mail_case
    )


def _response(change: LearnerChange, preview: bool) -> Response:
    return json_response(
        {
            "preview": preview,
            "learner": _serialize(change.learner),
            "into": _serialize(change.into) if change.into else None,
            **{
                name: getattr(change, name)
                for name in ("identifiers", "events", "records", "memberships", "assignments")
            },
        }
    )


def _serialize(learner: Learner) -> dict[str, Any]:
    counted: dict[str, Any] = {}
    if learner.records is not None:
        last = learner.last_activity_at
        counted = {
            "records": learner.records,
            "last_activity_at": timestamp(last) if last else None,
        }
    return {
        "user_id": learner.user_id,
        "user": learner.user,
        "name": learner.name,
        "email": learner.email,
        "deleted_at": timestamp(learner.deleted_at) if learner.deleted_at else None,
        "identifiers": [_identifier(item) for item in learner.identifiers],
        **counted,
    }


def _identifier(identifier: LearnerIdentifier) -> dict[str, Any]:
    home_page = {"home_page": identifier.home_page} if identifier.home_page else {}
    return {
        "kind": identifier.kind,
        "value": identifier.value,
        **home_page,
        "imported": identifier.imported,
    }


_LIST_PARSERS = {
    "imported": query_params.boolean,
    "deleted": query_params.boolean,
    "limit": query_params.limit,
    "cursor": query_params.id_cursor,
}
