"""What was wrong with a denied request, in words for the engineer of a partner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lrs.store.attempts import AttemptCount

_SIMILAR = re.compile(r"The path (\S+) is similar\.")


@dataclass(frozen=True, slots=True)
class DescribedAttempt:
    """Equal denied requests. `cause` is what was wrong, `advice` is what to change."""

    status: int
    code: str
    method: str
    path: str
    key: str | None
    address: str
    attempts: int
    first_at: datetime
    last_at: datetime
    request_id: str
    reason: str
    cause: str
    advice: str


def describe(attempt: AttemptCount, base_url: str, partner: str) -> DescribedAttempt:
    """The attempt with its cause and advice; `base_url` is that of the server."""
    cause, advice = _explain(attempt, base_url, partner)
    return DescribedAttempt(
        attempt.status,
        attempt.code,
        attempt.method,
        attempt.path,
        attempt.key,
        attempt.address,
        attempt.attempts,
        attempt.first_at,
        attempt.last_at,
        attempt.request_id,
        attempt.reason,
        cause,
        advice,
    )


def _explain(attempt: AttemptCount, base_url: str, partner: str) -> tuple[str, str]:
    if attempt.status == 404:
        return _wrong_path(attempt, base_url, partner)
    if attempt.code == "partner-disabled":
        return "The partner is disabled.", "Enable it on its page."
    if attempt.code == "missing-scope":
        return (
            f"The credential {attempt.key or ''} lacks a scope. {attempt.reason}",
            "Grant the scope on the page of the credential.",
        )
    if attempt.code == "token-expired":
        return (
            "The access token has expired.",
            f"Request a new one at {base_url}/oauth2/token before it expires.",
        )
    if attempt.status == 401:
        return _unauthorized(attempt)
    if attempt.status == 403:
        return (
            f"The credential {attempt.key or ''} is valid, but has no access. {attempt.reason}",
            f"Use a credential of {partner} with URLs of {partner}.",
        )
    return attempt.reason, "See the list of error codes in docs/errors.md."


def _wrong_path(attempt: AttemptCount, base_url: str, partner: str) -> tuple[str, str]:
    similar = _SIMILAR.search(attempt.reason)
    hint = f"Probably {similar[1].replace('{partner}', partner)} is meant. " if similar else ""
    return (
        f"There is nothing at {attempt.path}.",
        f"{hint}xAPI clients use {base_url}/xapi as the endpoint, others "
        f"{base_url}/v1/partners/{partner}/statements.",
    )


def _unauthorized(attempt: AttemptCount) -> tuple[str, str]:
    if attempt.key is None:
        return (
            f"The request names no key. {attempt.reason}",
            "Send `Authorization: Basic` with key and secret, or `Authorization: Bearer` with an "
            "access token; check that a proxy passes the header on.",
        )
    return (
        f"The key {attempt.key} was refused. {attempt.reason}",
        "Compare the key with the list of credentials and their ends. If it is there, rotate its "
        "secret and send the new one.",
    )
