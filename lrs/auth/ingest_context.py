"""From a caller to the context in which its items are stored."""

from __future__ import annotations

from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.ingest.model import IngestContext
from lrs.xapi.validation import Version


def ingest_context(
    caller: Caller,
    organization: str | None,
    version: Version | None,
    *,
    source: str,
) -> IngestContext:
    """The context with the authority and the limits of the caller.

    A duplicate track event is no conflict if a setting of the partner says so.
    """
    settings = caller.partner_settings
    return IngestContext(
        caller.partner_id,
        caller.partner,
        caller.home_page,
        organization,
        caller.authority,
        caller.authority_key,
        scopes.DEFINE in caller.scopes,
        version,
        caller.subjects,
        scopes.STATEMENTS_READ in caller.scopes,
        source == "track" and settings.duplicate_track_event_status == 200,
        source,
        caller.key,
        keeps_items=settings.keep_refused_items,
    )
