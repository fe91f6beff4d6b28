"""What a completed request adds to the ledger and to its log line."""

from __future__ import annotations

import re
from typing import Any

from starlette.types import Scope

from lrs.api import forwarded_statements, request_parsing
from lrs.api.request_record import RequestRecord, record_of
from lrs.auth import name_rules, tried_key
from lrs.errors import LRSError, TooManyRequests
from lrs.ingest.model import REFUSED
from lrs.ledger.attempts import Attempt
from lrs.ledger.counters import storable
from lrs.ledger.refusals import Origin
from lrs.ledger.worker import Ledger
from lrs.observability import logs
from lrs.xapi import canvas_launches

_DENIED = frozenset({401, 403, 404})
_REFUSED_REQUESTS = frozenset({400, 413, 415})
_SOURCES = {
    "/v1/partners/{partner}/statements": "statements",
    "/v1/partners/{partner}/organizations/{organization}/statements": "statements",
    "/v1/partners/{partner}/track": "track",
    "/v1/partners/{partner}/organizations/{organization}/track": "track",
    "/xapi/statements": "xapi",
}
"""The interfaces that receive items, by route."""

_PARTNER_PATH = re.compile(f"/v1/partners/({name_rules.PATTERN})(?:/|$)")
_CALLBACK_PATH = re.compile("/api/lti/v1/(?:xapi|caliper)/([^/]{1,4096})")


def add(scope: Scope, status: int, ledger: Ledger) -> None:
    """Adds a denied or refused request. Most requests are neither."""
    record = record_of(scope)
    error = record.error
    if status in _DENIED or (isinstance(error, TooManyRequests) and not record.key):
        ledger.attempts.add(_attempt(scope, status, record), ledger.now())
    elif error is not None and record.key:
        _add_refused_request(scope, record, error, ledger)


def _add_refused_request(
    scope: Scope, record: RequestRecord, error: LRSError, ledger: Ledger
) -> None:
    """Adds a request whose items were not examined."""
    route = scope.get("route")
    source = _SOURCES.get(route.path) if route else None
    if source is None or scope["method"] not in ("POST", "PUT") or _is_dry_run(scope):
        return
    if source == "xapi":
        source = forwarded_statements.source(scope)
    origin = Origin(
        record.partner_id,
        source,
        record.key,
        storable(scope.get("path_params", {}).get("organization", ""), 255),
        request_parsing.supported_version(
            request_parsing.header(scope, b"x-experience-api-version") or ""
        ),
        keeps_items=record.keeps_items and _is_json(scope),
    )
    if error.status in _REFUSED_REQUESTS:
        outcome = "too_large" if error.status == 413 else "invalid"
        size = record.body_size or _declared_size(scope)
        ledger.refuse(origin, outcome, error, record.body, size=size)
    elif error.code == "rate-limit-exceeded":
        ledger.count(origin, "limited", 1, record.body_size, (error.code, ""))


def _declared_size(scope: Scope) -> int:
    """The size of a body that was not read."""
    declared = request_parsing.header(scope, b"content-length") or ""
    is_number = declared.isascii() and declared.isdigit() and len(declared) < 10
    return int(declared) if is_number else 0


def _is_dry_run(scope: Scope) -> bool:
    return b"validate=true" in scope["query_string"].lower()


def _is_json(scope: Scope) -> bool:
    """Whether the body can be sent again as it was; an attachment cannot."""
    media_type = request_parsing.header(scope, b"content-type") or ""
    return not media_type.lower().startswith("multipart/")


def _attempt(scope: Scope, status: int, record: RequestRecord) -> Attempt:
    path: str = scope["path"]
    error = record.error
    partner = record.partner or None
    key = _tried_key(scope, record)
    launch = None
    if record.named_partner is None and (callback := _CALLBACK_PATH.match(path)):
        launch = canvas_launches.parse_token(callback[1])  # a forged token of an earlier version
    if launch:
        key = f"tool {launch.tool}"
    named = _PARTNER_PATH.match(path)
    reason = (error.reason or error.detail) if error else ""
    return Attempt(
        status=status,
        code=error.code if error else "",
        reason=storable(tried_key.mask_text(reason), 500),
        method=storable(scope["method"], 16),
        path=storable(tried_key.mask_text(path), 500),
        key=storable(key, 140) if key else None,
        address=(scope.get("client") or ("",))[0],
        request_id=logs.request_id.get() or "",
        partner=partner,
        named_partner=record.named_partner
        or (launch.partner if launch else named[1] if named else None),
    )


def _tried_key(scope: Scope, record: RequestRecord) -> str | None:
    if record.key or record.tried_key:
        return record.key or record.tried_key
    return tried_key.read(request_parsing.header(scope, b"authorization"))


def log_fields(scope: Scope, status: int) -> dict[str, Any]:
    """Partner, key, numbers of items and code of a request, as far as they are known."""
    record = record_of(scope)
    fields: dict[str, Any] = {}
    if record.partner:
        fields["partner"] = record.partner
    key = record.key or (_tried_key(scope, record) if status in (401, 429) else None)
    if key:
        fields["key"] = key
    error = record.error
    if outcomes := record.outcomes:
        others = [outcome for outcome in outcomes if outcome.kind != "stored"]
        fields["items"] = len(outcomes)
        fields["stored"] = len(outcomes) - len(others)
        fields["refused"] = sum(outcome.kind in REFUSED for outcome in others)
        if duplicates := sum(outcome.kind == "duplicate" for outcome in others):
            fields["duplicates"] = duplicates
        error = error or next((item.problem for item in others if item.problem), None)
    if error:
        fields["code"] = error.code
    return fields
