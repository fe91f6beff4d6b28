"""Refused items in responses, for partners and for operators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import batch_results
from lrs.api.responses import timestamp
from lrs.errors import NotFound
from lrs.ingest.resubmit import Resubmission
from lrs.store.refusals import Refusal
from lrs.xapi import query_params


def refusal_id(request: Request) -> UUID:
    """The id of the refusal in the path. Raises NotFound."""
    text: str = request.path_params["refusal"]
    try:
        return UUID(query_params.uuid(text))
    except ValueError:
        raise NotFound(f"Refusal {text[:80]!r} not found.") from None


def serialize(refusal: Refusal) -> dict[str, Any]:
    """A refusal as a member of a list."""
    resubmitted_at = refusal.resubmitted_at
    return {
        "id": str(refusal.refusal_id),
        "refused_at": timestamp(refusal.refused_at),
        "source": refusal.source,
        "credential": refusal.credential,
        "organization": refusal.organization or None,
        "outcome": refusal.outcome,
        "code": refusal.code,
        "pointer": refusal.pointer,
        "index": refusal.item_index,
        "statement_id": refusal.statement_id,
        "request_id": refusal.request_id,
        "bytes": refusal.item_bytes,
        "has_item": refusal.has_item,
        "resubmitted_at": timestamp(resubmitted_at) if resubmitted_at else None,
        "problem": orjson.loads(refusal.problem),
    }


def serialize_with_item(refusal: Refusal) -> dict[str, Any]:
    """A refusal with the text of the item as received; null if it is not kept."""
    text = None if refusal.item is None else refusal.item.decode("utf-8", "replace")
    return serialize(refusal) | {"item": text, "is_complete": refusal.is_complete}


def resubmission_response(resubmission: Resubmission) -> Response:
    """Id and outcome of the item, or of each item of a request; or the problem."""
    stored = [
        {"id": outcome.statement_id, "outcome": outcome.kind} for outcome in resubmission.outcomes
    ]
    return batch_results.response(
        resubmission.outcomes,
        is_batch=resubmission.is_batch,
        dry_run=False,
        stored=stored if resubmission.is_batch else stored[0],
    )
