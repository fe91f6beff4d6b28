"""Who the caller is: credential, scopes, limits, endpoints, and whether its items arrive."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, request_parsing, urls
from lrs.api.responses import json_response, timestamp
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import Unauthorized
from lrs.limits.model import Subject
from lrs.store import intake, limits, registry
from lrs.store.limits import QuotaUsage
from lrs.xapi import query_params

_MAX_ORGANIZATIONS = 1000


async def get_whoami(request: Request) -> Response:
    caller = await access.authenticate_partner(request)
    query_params.reject_all(request_parsing.query_parameters(request), section="Partner API")
    services = request_parsing.services(request)
    database = services.database
    partner = await registry.get_partner(database, caller.partner)
    credential = await registry.find_credential(database, caller.key)
    if credential is None:
        raise Unauthorized("The credential was removed.")
    usage = await limits.list_usage(database, caller.partner_id)
    organizations = await intake.list_organizations(database, caller.partner_id, _MAX_ORGANIZATIONS)
    accepted = await intake.last_stored(database, caller.partner_id, caller.authority_key)
    token_expires_at = caller.token_expires_at
    return json_response(
        {
            "partner": {
                "name": partner.name,
                "title": partner.title,
                "home_page": partner.home_page,
            },
            "key": caller.key,
            "kind": credential.kind,
            "label": credential.label,
            "scopes": [name for name in scopes.SUPPORTED if name in caller.scopes],
            "expires_at": _time(credential.expires_at),
            "token_expires_at": (
                timestamp(datetime.fromtimestamp(token_expires_at, UTC))
                if isfinite(token_expires_at)
                else None
            ),
            "limits": {
                subject.kind: _limits(services, subject, usage) for subject in caller.subjects
            },
            "organizations": organizations,
            "endpoints": _endpoints(urls.base_url(request), caller.partner),
            "server_time": timestamp(datetime.now(UTC)),
            "last_accepted_at": _time(accepted),
            "last_refused_at": _time(await _last_refused(services, caller)),
        },
        headers={"Cache-Control": "no-store"},
    )


async def _last_refused(services: Services, caller: Caller) -> datetime | None:
    """The later of what is written and what this worker has not written yet."""
    uses = await intake.list_uses(services.database, caller.partner_id)
    written = uses.get(caller.key)
    moments = [
        written.last_refused_at if written else None,
        services.ledger.last_refused(caller.partner_id, caller.key),
    ]
    return max((moment for moment in moments if moment), default=None)


def _limits(services: Services, subject: Subject, usage: list[QuotaUsage]) -> dict[str, Any]:
    """The limits of a subject with what is left; null where there is none.

    What other workers have leased and not used counts as used.
    """
    own = subject.limits
    today = datetime.now(UTC).date()
    used = {
        item.resource: item.used
        for item in usage
        if item.subject == subject.name and (item.resource == "bytes" or item.day == today)
    }
    rate = None
    for lease in services.limits.requests.rates.leases([subject]):
        rate = {
            "requests": lease.rate.quota,
            "seconds": lease.rate.window_seconds,
            "remaining": lease.remaining(time.monotonic()),
        }
    return {
        "rate": rate,
        "concurrent_requests": own.max_concurrent_requests or None,
        "statements_per_day": _quota(own.max_statements_per_day, used.get("statements", 0)),
        "stored_bytes": _quota(own.max_stored_bytes, used.get("bytes", 0)),
    }


def _quota(limit: int, used: int) -> dict[str, int] | None:
    return {"limit": limit, "remaining": max(limit - used, 0)} if limit else None


def _endpoints(base: str, partner: str) -> dict[str, str]:
    own = f"{base}/v1/partners/{partner}"
    return {
        "statements": f"{own}/statements",
        "organization_statements": f"{own}/organizations/{{organization}}/statements",
        "track": f"{own}/track",
        "organization_track": f"{own}/organizations/{{organization}}/track",
        "xapi": f"{base}/xapi",
        "token": f"{base}/oauth2/token",
        "refusals": f"{own}/refusals",
    }


def _time(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment else None
