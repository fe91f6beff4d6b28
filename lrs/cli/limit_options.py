"""Options for the limits of partners and credentials, and how they are printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
import msgspec

from lrs.cli.options import Command
from lrs.limits.model import DefaultLimits, parse_rate
from lrs.settings import Settings
from lrs.store.limits import QuotaUsage
from lrs.store.registry import LimitOverrides

_SIZE = re.compile("([0-9]{1,15})(|[KMGT]i?B)", re.IGNORECASE)
_UNITS = {"": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("IB", 1024))
}

_MOST = 10**18
_MOST_REQUESTS = 1_000_000

DEFAULT = "default"


class _Limit(click.ParamType[str | int]):
    """A number or rate; `none` is no limit, `default` is the setting of the server."""

    def __init__(self, name: str, parse: Callable[[str], str | int], none: str | int) -> None:
        self.name = name
        self._parse = parse
        self._none = none

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        text = str(value).strip()
        if text.lower() == DEFAULT:
            return DEFAULT
        if text.lower() in ("none", "0"):
            return self._none
        try:
            return self._parse(text)
        except ValueError as error:
            self.fail(f"{error}; or none, or default", param, ctx)


def _parse_rate(text: str) -> str:
    return str(parse_rate(text) or "")


def _parse_count(text: str, most: int = _MOST) -> int:
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > most:
        raise ValueError(f"expected a number up to {most}, got {text!r}")
    return int(text)


def _parse_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a number of bytes such as 500MB or 20GiB, got {text!r}")
    factor: int = _UNITS[match[2].upper()]
    return min(int(match[1]) * factor, _MOST)


_COUNT = _Limit("COUNT", _parse_count, 0)
_SMALL_COUNT = _Limit("COUNT", partial(_parse_count, most=_MOST_REQUESTS), 0)

_OPTIONS = {
    "rate_limit": (
        _Limit("RATE", _parse_rate, ""),
        "Requests per time on all servers, such as 100/second or 500/10 seconds.",
    ),
    "max_concurrent_requests": (_SMALL_COUNT, "Requests processed at a time on all servers."),
    "max_statements_per_day": (_COUNT, "Statements stored in a UTC day."),
    "max_stored_bytes": (
        _Limit("SIZE", _parse_size, 0),
        "Size of statements, documents and attachments, such as 20GB.",
    ),
}

OF_PARTNER = tuple(_OPTIONS)
OF_CREDENTIAL = ("rate_limit", "max_concurrent_requests", "max_statements_per_day")


def options(*names: str) -> Callable[[Command], Command]:
    """An option for each named limit."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            kind, help_text = _OPTIONS[name]
            command = click.option(
                f"--{name.replace('_', '-')}",
                name,
                type=kind,
                metavar=kind.name,
                help=f"{help_text} none: no limit; default: as the settings say.",
            )(command)
        return command

    return decorate


def pop_changes(values: dict[str, Any]) -> dict[str, Any]:
    """Removes the limits from the options of a command; returns those that were set."""
    limits = {name: values.pop(name, None) for name in _OPTIONS}
    return {
        name: None if value == DEFAULT else value
        for name, value in limits.items()
        if value is not None
    }


def format_overrides(limits: LimitOverrides) -> str:
    """The limits that differ from the settings, such as `rate_limit=100/second`."""
    values = msgspec.to_builtins(limits)
    return " ".join(f"{name}={value or 'none'}".replace(" ", "_") for name, value in values.items())


def column(limits: LimitOverrides) -> tuple[str, ...]:
    """The column of a list with the limits that differ from the settings, if there are any."""
    text = format_overrides(limits)
    return (text,) if text else ()


def describe(
    settings: Settings, overrides: LimitOverrides, usage: Sequence[QuotaUsage]
) -> Iterator[tuple[str, ...]]:
    """Columns with the limits of a partner, their origin, and what is used of the quotas."""
    effective = DefaultLimits.of(settings).partner.overridden(overrides)
    values: dict[str, object] = {
        "rate_limit": effective.rate,
        **{name: getattr(effective, name) for name in OF_PARTNER[1:]},
    }
    for name, value in values.items():
        origin = "setting" if getattr(overrides, name) is None else "partner"
        yield name.replace("_", " "), str(value or "none"), f"({origin})"
    today = datetime.now(UTC).date()
    for row in usage:
        subject = f" of {row.subject}" if row.subject else ""
        if row.resource == "statements":
            yield f"statements today{subject}", str(row.used if row.day == today else 0)
        elif row.counted_at:
            yield "stored bytes", str(row.used), f"(counted {row.counted_at:%Y-%m-%d %H:%M})"
