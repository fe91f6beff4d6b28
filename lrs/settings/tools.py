"""LTI tools: callbacks and page views."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import HUNDRED_YEARS, subject


@subject
class ToolSettings:
    """LTI tools: callbacks and page views."""

    page_views_enabled: Annotated[
        bool,
        Meta(
            description=(
                "Record page views from tool callbacks, for partners without their own setting."
            )
        ),
    ] = True
    max_page_view_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description=(
                "Maximum duration of one page view; the total time in the course has no maximum."
            ),
        ),
    ] = 300
    callback_url_ttl_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=HUNDRED_YEARS,
            description="Lifetime of a tool's callback URL. 0: unlimited.",
        ),
    ] = 0
    require_callback_body_hash: Annotated[
        bool,
        Meta(
            description=(
                "Reject callbacks whose signature does not cover the body (`oauth_body_hash`)."
            )
        ),
    ] = False
