"""Scopes of credentials and tokens (xAPI 1.0.3 Communication 4.2, and scopes of this server)."""

from __future__ import annotations

from collections.abc import Iterable

from lrs.errors import MissingScope

STATEMENTS_WRITE = "statements/write"
STATEMENTS_READ_MINE = "statements/read/mine"
STATEMENTS_READ = "statements/read"
STATE = "state"
DEFINE = "define"
PROFILE = "profile"
ALL_READ = "all/read"
ALL = "all"
TRACK_WRITE = "track/write"
CALLBACKS_WRITE = "callbacks/write"
REPORTS_READ = "reports/read"
ADMIN = "admin"

SUPPORTED = (
    STATEMENTS_WRITE,
    STATEMENTS_READ_MINE,
    STATEMENTS_READ,
    STATE,
    DEFINE,
    PROFILE,
    ALL_READ,
    ALL,
    TRACK_WRITE,
    CALLBACKS_WRITE,
    REPORTS_READ,
    ADMIN,
)

ALL_GRANTED = "api"
"""The scope that Percipio's clients request: all scopes of the credential."""

_READABLE = frozenset({STATEMENTS_READ, STATEMENTS_READ_MINE, ALL_READ, REPORTS_READ})
_IMPLIED = {
    ADMIN: frozenset(SUPPORTED),
    ALL: frozenset(SUPPORTED) - {ADMIN},
    ALL_READ: _READABLE,
    STATEMENTS_READ: frozenset({STATEMENTS_READ, STATEMENTS_READ_MINE}),
}


def expand(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes and all scopes that they imply."""
    scopes = frozenset(scopes)
    return scopes.union(*(_IMPLIED.get(scope, frozenset()) for scope in scopes))


def require(held: frozenset[str], *needed: str) -> None:
    """Raises MissingScope unless one of the scopes `needed` is in `held`, an expanded set."""
    if held.isdisjoint(needed):
        raise MissingScope(
            f"The request requires the scope {' or '.join(needed)}.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed[0]}"'},
        )
