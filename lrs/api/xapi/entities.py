"""What is known of agents and activities, and of this server (1.0.3 Communication 2.4 and on)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.responses import json_response
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.store.statements import definitions, page_loader
from lrs.xapi import index_keys, query_params
from lrs.xapi.definitions import activity_object, person_object

VERSIONS = ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "2.0.0"]


async def get_agent(request: Request) -> Response:
    """The Person object of an agent, known or not."""
    who = await _reader(request)
    asked = _only(request, "agent", query_params.agent, "2.4")
    identity = str(index_keys.agent_identity(asked))
    here = request_parsing.services(request)
    names = await definitions.names(
        here.database, who.partner_id, identity, page_loader.MAX_PAGE_BYTES
    )
    return json_response(person_object(asked, names))


async def get_activity(request: Request) -> Response:
    """The complete Activity object, known or not."""
    who = await _reader(request)
    asked = _only(request, "activityId", query_params.iri, "2.5")
    here = request_parsing.services(request)
    known = await definitions.definitions(
        here.database, who.partner_id, [asked], page_loader.MAX_PAGE_BYTES
    )
    return json_response(activity_object(asked, known.get(asked)))


async def get_about(_: Request) -> Response:
    return json_response({"version": VERSIONS})


def _only(request: Request, name: str, reader: query_params.Parser, section: str) -> Any:
    """The value of the one parameter of a resource."""
    values = query_params.parse(
        request_parsing.parameters(request),
        {name: reader},
        required=[name],
        section=f"xAPI 1.0.3 Communication {section}",
    )
    return values[name]


async def _reader(request: Request) -> Caller:
    """Who may read what all of a partner's statements tell: who may read them, or has profiles.

    The standard gives these two resources no scope of their own (1.0.3 Communication 4.2). Reading
    only one's own statements is not enough, since others' have told of it too.
    """
    request_parsing.version(request, required=True)
    who = await request_parsing.caller(request, request_parsing.BASIC_OR_BEARER)
    scopes.require(who.scopes, scopes.STATEMENTS_READ, scopes.PROFILE, scopes.ALL_READ)
    return who
