"""The overlap of a rotation: how long the previous secret stays valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lrs.errors import InvalidParameter, Violation

MAX_HOURS = 8_760


def overlap_end(hours: float) -> datetime | None:
    """When the previous secret ends; None for 0 hours: now. Raises InvalidParameter."""
    if not 0 <= hours <= MAX_HOURS:
        detail = f"expected 0 to {MAX_HOURS}"
        raise InvalidParameter(
            f"overlap_hours: {detail}.",
            violations=[Violation("/overlap_hours", detail, "Rotation")],
        )
    return datetime.now(UTC) + timedelta(hours=hours) if hours else None
