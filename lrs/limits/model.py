"""Rates and limits of a subject: a partner, or one credential or tool of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lrs.settings import Settings
from lrs.settings.partner_limits import RATE_PATTERN
from lrs.store.registry import LimitOverrides

_RATE = re.compile(RATE_PATTERN)
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

PARTNER = ""
"""The name of the subject that is the partner itself."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`quota` requests in `window_seconds`.

    That many may arrive at the same time (burst); in the long run, that many per window.
    """

    quota: int
    window_seconds: int

    @property
    def per_second(self) -> float:
        return self.quota / self.window_seconds

    def __str__(self) -> str:
        for unit, seconds in reversed(_UNITS.items()):
            if self.window_seconds % seconds == 0:
                count = self.window_seconds // seconds
                return f"{self.quota}/{unit}" if count == 1 else f"{self.quota}/{count} {unit}s"
        raise AssertionError(self.window_seconds)


def parse_rate(text: str) -> Rate | None:
    """The rate in a text such as "100/second" or "500/10 seconds"; None for an empty text.

    Raises ValueError.
    """
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a rate such as 100/second or 500/10 seconds, got {text!r}")
    quota, count, unit = match["quota"], match["count"], match["unit"]
    return Rate(int(quota), int(count or 1) * _UNITS[unit]) if quota else None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one subject; 0 and None are no limit.

    Concurrent requests are limited on each worker, and on all servers together.
    """

    rate: Rate | None = None
    max_concurrent_requests: int = 0
    max_statements_per_day: int = 0
    max_stored_bytes: int = 0
    shared_concurrent_requests: int = 0

    def overridden(self, overrides: LimitOverrides) -> Limits:
        """The limits with those of the operator for this subject."""
        text = overrides.rate_limit
        return Limits(
            self.rate if text is None else parse_rate(text),
            _or_default(overrides.max_concurrent_requests, self.max_concurrent_requests),
            _or_default(overrides.max_statements_per_day, self.max_statements_per_day),
            _or_default(overrides.max_stored_bytes, self.max_stored_bytes),
            # The setting protects a worker; the limit that an operator sets is for all of them.
            shared_concurrent_requests=overrides.max_concurrent_requests or 0,
        )


def _or_default(override: int | None, default: int) -> int:
    return default if override is None else override


@dataclass(frozen=True, slots=True)
class Subject:
    """A partner, with the name `PARTNER`, or one of its credentials or tools, with its limits."""

    partner_id: int
    name: str
    limits: Limits

    @property
    def kind(self) -> str:
        return "credential" if self.name else "partner"


@dataclass(frozen=True, slots=True)
class DefaultLimits:
    """The limits of partners and credentials without overrides."""

    partner: Limits = Limits()
    credential: Limits = Limits()

    @classmethod
    def of(cls, settings: Settings) -> DefaultLimits:
        return cls(
            Limits(
                parse_rate(settings.partner_rate_limit),
                settings.max_concurrent_requests_per_partner,
                settings.max_statements_per_day,
                settings.max_stored_bytes,
            ),
            Limits(parse_rate(settings.rate_limit)),
        )

    def subjects(
        self,
        partner_id: int,
        name: str,
        partner: LimitOverrides,
        credential: LimitOverrides,
    ) -> tuple[Subject, Subject]:
        """The subjects whose limits apply to a request: the partner, and the named credential."""
        return (
            Subject(partner_id, PARTNER, self.partner.overridden(partner)),
            Subject(partner_id, name, self.credential.overridden(credential)),
        )
