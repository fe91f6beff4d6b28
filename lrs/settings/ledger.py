"""Refused items and alarms."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import HUNDRED_YEARS, expected, subject


@subject
class LedgerSettings:
    """Refused items and alarms."""

    max_refusals_per_partner: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Maximum number of refused items that are kept of one partner. 0: none.",
        ),
    ] = 10_000
    max_refusal_item_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1_048_576,
            description=(
                "Maximum size of the text that is kept of a refused item; of a larger one, the "
                "beginning. 0: the text is not kept, only its errors."
            ),
        ),
    ] = 16_384
    refusal_ttl_seconds: Annotated[
        int,
        Meta(ge=60, le=HUNDRED_YEARS, description="Time for which refused items are kept."),
    ] = 604_800
    alarm_webhook_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/?#\s]+[^\s]*)?$",
            extra_json_schema=expected("a URL such as https://hooks.example.com/lrs"),
            description=(
                "URL to which alarms of partners (silence, refusals, pipes) are sent as JSON. "
                "Empty: they are not sent."
            ),
        ),
    ] = ""
