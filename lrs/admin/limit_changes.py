"""Changes of the limits of partners and credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lrs.errors import InvalidParameter, Violation
from lrs.limits.model import parse_rate
from lrs.store.registry import LimitOverrides

OF_PARTNER = (
    "rate_limit",
    "max_concurrent_requests",
    "max_statements_per_day",
    "max_stored_bytes",
)
OF_CREDENTIAL = OF_PARTNER[:3]

_MAX = {"max_concurrent_requests": 1_000_000}
_MAX_COUNT = 10**18


def changed_limits(
    limits: LimitOverrides, changes: Mapping[str, Any], names: tuple[str, ...]
) -> LimitOverrides:
    """The limits with the changes: None removes an override, 0 or "" is no limit.

    Raises InvalidParameter, which names the limit and what was expected.
    """
    values = {name: _checked(name, value, names) for name, value in changes.items()}
    return msgspec.structs.replace(limits, **values)


def _checked(name: str, value: Any, names: tuple[str, ...]) -> Any:
    if name not in names:
        raise _invalid(name[:80], f"is not one of {', '.join(names)}")
    if value is None:
        return None
    if name == "rate_limit":
        try:
            return str(parse_rate(value if isinstance(value, str) else str(value)) or "")
        except ValueError as error:
            raise _invalid(name, str(error)) from None
    most = _MAX.get(name, _MAX_COUNT)
    if type(value) is not int or not 0 <= value <= most:
        raise _invalid(name, f"expected a number from 0 to {most}, got {str(value)[:80]!r}")
    return value


def _invalid(name: str, detail: str) -> InvalidParameter:
    return InvalidParameter(
        f"{name}: {detail}.", violations=[Violation(f"/limits/{name}", detail, "Admin API")]
    )
