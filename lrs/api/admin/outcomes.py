"""The last outcomes of a partner, for operators."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from lrs.admin import last_outcomes
from lrs.admin.last_outcomes import OutcomeFilter
from lrs.admin.partners import find_partner
from lrs.api.admin.access import authenticate_operator
from lrs.api.admin.responses import json, list_query
from lrs.api.request_parsing import services
from lrs.xapi import query_params

_DEFAULT_HOURS = 24

OUTCOME_FILTERS: dict[str, query_params.Parser] = dict.fromkeys(
    ("outcome", "source", "credential", "organization", "code"), query_params.text
)


async def get_outcomes(request: Request) -> Response:
    """The last outcomes up to the watermark; `after` is `through` of the response before."""
    operator = await authenticate_operator(request)
    query = list_query(request, {"after": query_params.timestamp, **OUTCOME_FILTERS})
    name = request.path_params["partner"]
    partner = await find_partner(services(request).admin_database, operator, name)
    through = await services(request).watermark_reader.cached_watermark(partner.partner_id)
    after = query.filters.pop("after", None) or through - timedelta(hours=_DEFAULT_HOURS)
    outcomes = await last_outcomes.list_last_outcomes(
        services(request).admin_database,
        operator,
        name,
        after=after,
        through=through,
        selection=OutcomeFilter(**query.filters),
        limit=query.limit,
    )
    return json({"outcomes": outcomes, "through": through})
