"""Sizes of requests, their items and pages."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import subject


@subject
class RequestLimitSettings:
    """Sizes of requests, their items and pages."""

    max_statement_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description="Maximum size of a statement or track event on the partner interface.",
        ),
    ] = 16_384
    max_xapi_statement_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description=(
                "Maximum size of a statement on the xAPI interface, and of the body of a callback "
                "or a request about tools."
            ),
        ),
    ] = 1_048_576
    max_body_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description="Maximum size of a request body, also of a compressed one as decompressed.",
        ),
    ] = 16_777_216
    max_document_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            description=(
                "Maximum size of a state or profile document, as sent and after a merge; at most "
                "`LRS_MAX_BODY_BYTES` as sent."
            ),
        ),
    ] = 1_048_576
    max_batch_items: Annotated[
        int, Meta(ge=1, description="Maximum number of items in one request.")
    ] = 1000
    max_page_size: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description=(
                "Maximum number of statements, learner records or content items in one page. A "
                "page of statements also ends at 8 MiB."
            ),
        ),
    ] = 500
