"""Launches of LTI tools: signed callback tokens, and URLs in launch parameters.

A signed token, as earlier versions issued it, is a compact JWS (RFC 7515, HS256). Its payload is a
JSON array: `[partner, tool, user, course, issued at, salt]`. User and course are ids of the LMS,
any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

ALGORITHM = "HS256"

MAX_ID_LENGTH = 255

XAPI_URL = "$Canvas.xapi.url"
CALIPER_URL = "$Caliper.url"


class Launch(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Names of partner and tool, ids of the LMS, and the time of issue in seconds since 1970.

    It is the payload of a signed token, which a salt makes unique; the salt of other launches is
    empty.
    """

    partner: str
    tool: str
    user: str
    course: str
    issued_at: int
    salt: str


@dataclass(frozen=True, slots=True)
class CallbackURLs:
    """The callback URLs of one launch."""

    xapi: str
    caliper: str


def parse_token(token: str) -> Launch | None:
    """The payload of a token without a check of its signature; None if malformed."""
    try:
        launch = msgspec.json.decode(jws.extract_compact(token.encode()).payload, type=Launch)
    except (JoseError, ValueError):
        return None
    names = (launch.partner, launch.tool, launch.user, launch.course)
    return launch if all(map(is_lms_id, names)) else None


def is_signed(token: str, key: bytes) -> bool:
    """Whether the signature of the token is valid for this key."""
    try:
        jws.deserialize_compact(token.encode(), OctKey.import_key(key), [ALGORITHM])
    except (JoseError, ValueError):
        return False
    return True


def is_lms_id(value: object) -> bool:
    """Whether this can be the id of a user or a course: a string of 1 to 255 characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_LENGTH:
        return False
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def substitute_urls(parameters: Mapping[str, Any], urls: CallbackURLs | None) -> dict[str, Any]:
    """Launch parameters with the variables replaced by URLs; unchanged when `urls` is None."""
    if urls is None:
        return dict(parameters)
    variables = {XAPI_URL: urls.xapi, CALIPER_URL: urls.caliper}
    return {
        name: variables.get(value, value) if isinstance(value, str) else value
        for name, value in parameters.items()
    }


def course_iri(home_page: str, course: str) -> str:
    return f"{home_page}/courses/{quote(course, safe='')}"


def tool_iri(home_page: str, tool: str) -> str:
    return f"{home_page}/tools/{tool}"


def authority(home_page: str, tool: str) -> dict[str, Any]:
    """The authority of a tool's statements. The slash keeps it apart from keys of credentials."""
    account = {"homePage": home_page, "name": f"tools/{tool}"}
    return {"objectType": "Agent", "name": tool, "account": account}
