"""Roles of operators from claims of an identity provider: pure rules.

`LRS_OIDC_ROLES` maps values of a claim: `lrs-admins=owner, acme-support=viewer:acme`. A value with
a partner grants the role for that partner, a value without one for all partners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ROLES = ("viewer", "operator", "owner")


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """The role that a value of the claim grants; `partner` None: for all partners."""

    value: str
    role: str
    partner: str | None


@dataclass(frozen=True, slots=True)
class GrantedRole:
    """The role of an operator, for some partners by name, or for all (None)."""

    role: str
    partners: tuple[str, ...] | None


def parse_grants(text: str) -> list[RoleGrant]:
    """The grants in a setting. Raises ValueError."""
    grants = []
    for item in filter(None, (item.strip() for item in text.split(","))):
        value, equals, grant = item.rpartition("=")
        role, _, partner = grant.strip().partition(":")
        if not equals or not value.strip() or role not in ROLES:
            raise ValueError(f"expected VALUE=ROLE or VALUE=ROLE:PARTNER, got {item!r}")
        grants.append(RoleGrant(value.strip(), role, partner.strip() or None))
    return grants


def granted_role(grants: Iterable[RoleGrant], values: Iterable[str]) -> GrantedRole | None:
    """The highest role that the values grant, for the partners of that role; None: none.

    A lower role for other partners is not added: an operator has one role.
    """
    held = set(values)
    matching = [grant for grant in grants if grant.value in held]
    if not matching:
        return None
    role = max((grant.role for grant in matching), key=ROLES.index)
    partners = [grant.partner for grant in matching if grant.role == role]
    if None in partners:
        return GrantedRole(role, None)
    return GrantedRole(role, tuple(sorted({name for name in partners if name})))


def claim_values(claims: Mapping[str, Any], name: str) -> list[str]:
    """The texts in a claim, which may be in an object: `realm_access.roles`, as in Keycloak."""
    value: Any = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
