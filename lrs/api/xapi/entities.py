"""Agents, activities and about resources (xAPI 1.0.3 Communication 2.4, 2.5 and 2.8)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, forwarded_statements, request_parsing
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.store.statements import definitions
from lrs.xapi import index_keys, query_params, requirements, strict_json
from lrs.xapi.definitions import activity_object, person_object
from lrs.xapi.requirements import Requirement

VERSIONS = ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "2.0.0"]


async def get_agent(request: Request) -> Response:
    """The Person object of an agent, stored or not."""
    caller = await _authorize(request)
    agent = _parse_parameter(request, "agent", query_params.agent, requirements.AGENTS)
    identity = str(index_keys.agent_identity(agent))
    names = await definitions.names(
        request_parsing.services(request).database,
        caller.partner_id,
        identity,
        _max_bytes(request),
    )
    return json_response(person_object(agent, names))


async def get_activity(request: Request) -> Response:
    """The Activity object with its merged definition, stored or not."""
    caller = await _authorize(request)
    activity_id = _parse_parameter(request, "activityId", query_params.iri, requirements.ACTIVITIES)
    merged = await definitions.definitions(
        request_parsing.services(request).database,
        caller.partner_id,
        [activity_id],
        _max_bytes(request),
    )
    content = strict_json.dumps_exact(activity_object(activity_id, merged.get(activity_id)))
    return Response(content, media_type="application/json")


async def get_about(request: Request) -> Response:
    headers = await forwarded_statements.partner_header(request)
    return json_response({"version": VERSIONS}, headers=headers)


def _max_bytes(request: Request) -> int:
    return request_parsing.services(request).page_loader.limits.max_bytes


def _parse_parameter(
    request: Request, name: str, parser: query_params.Parser, requirement: Requirement
) -> Any:
    """The value of the only parameter of a resource. Raises InvalidParameter."""
    values = query_params.parse(
        request_parsing.query_parameters(request),
        {name: parser},
        required=[name],
        section=requirement[request_parsing.required_version(request)],
    )
    return values[name]


async def _authorize(request: Request) -> Caller:
    """The caller, if it may read data that all statements of a partner contribute to.

    The standard has no scope for these resources (1.0.3 Communication 4.2).
    `statements/read/mine` is not sufficient: other authorities contribute too.
    """
    request_parsing.required_version(request)
    return await access.authorize(
        request,
        access.BASIC_OR_BEARER,
        scopes.STATEMENTS_READ,
        scopes.PROFILE,
        scopes.ALL_READ,
    )
