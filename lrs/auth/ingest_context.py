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
    accepts_duplicates: bool = False,
) -> IngestContext:
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
        accepts_duplicates,
        source,
        caller.key,
        keeps_items=caller.partner_settings.keep_refused_items,
    )
