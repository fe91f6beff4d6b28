"""The context in which statements of a pull are stored: authority, limits, name in the ledger."""

from __future__ import annotations

from typing import Any

import msgspec

from lrs.ingest.model import IngestContext
from lrs.limits.model import DefaultLimits
from lrs.store.pipes import Pipe
from lrs.store.registry import NO_OVERRIDES, Partner
from lrs.xapi.authorities import account_authority, authority_of

SOURCE = "pull"

_NAME_PREFIX = "pipe "


def ledger_name(pipe: str) -> str:
    """The name of a pipe in the ledger and in its authority. Keys of credentials have no space."""
    return _NAME_PREFIX + pipe


def pipe_name(ledger_name: str) -> str:
    """The name of the pipe with a name in the ledger."""
    return ledger_name.removeprefix(_NAME_PREFIX)


def ingest_context(pipe: Pipe, partner: Partner, limits: DefaultLimits) -> IngestContext:
    """The context with the authority of the pipe itself."""
    name = ledger_name(pipe.name)
    authority = account_authority(partner.home_page, name)
    return IngestContext(
        pipe.partner_id,
        pipe.partner,
        partner.home_page,
        None,
        authority.text,
        authority.key,
        defines=True,
        subjects=limits.subjects(pipe.partner_id, name, partner.limits, NO_OVERRIDES),
        reads_all=True,
        accepts_duplicates=True,
        source=SOURCE,
        credential=name,
        keeps_items=partner.settings.keep_refused_items,
    )


def with_authority(context: IngestContext, authority: Any) -> IngestContext:
    """The context with the authority that the source sent, unless that identifies nobody."""
    try:
        sent = authority_of(authority)
    except (TypeError, KeyError, AttributeError, ValueError):
        return context
    return msgspec.structs.replace(context, authority=sent.text, authority_key=sent.key)
