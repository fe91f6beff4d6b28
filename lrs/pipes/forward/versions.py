"""Statements for targets that speak one version of xAPI: what needs 2.0, and how it is removed.

Members are edited as raw JSON text, so all others keep their bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

_MEMBERS_OF_2_0 = ("contextAgents", "contextGroups")
_SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_version_2(text: bytes) -> bool:
    """Whether a stored statement is of xAPI 2.0."""
    return version_of(text).startswith("2.")


def version_of(text: bytes) -> str:
    """The version of a stored statement; 1.0.0 if it has none (xAPI 1.0.3 Data 2.4.10)."""
    raw = _decoder.decode(text).get("version")
    return "1.0.0" if raw is None else str(msgspec.json.decode(raw))


def needs_version_2(statement: dict[str, Any]) -> bool:
    """Whether a statement, or its SubStatement, has members that xAPI 1.0.3 does not define."""
    target = statement.get("object", {})
    parts = [statement, target] if target.get("objectType") == "SubStatement" else [statement]
    return any(name in part.get("context", {}) for part in parts for name in _MEMBERS_OF_2_0)


def is_signed(statement: dict[str, Any]) -> bool:
    """Whether the statement has a signature, which is valid for its text only."""
    return any(item.get("usageType") == _SIGNATURE for item in statement.get("attachments", ()))


def as_version_1(text: bytes) -> bytes:
    """The statement with the version 1.0.3, and without members that need 2.0."""
    members = _without_2_0(_decoder.decode(text))
    if "version" in members:
        members["version"] = msgspec.Raw(b'"1.0.3"')
    target = _decoder.decode(members["object"])
    if target.get("objectType") == msgspec.Raw(b'"SubStatement"'):
        members["object"] = msgspec.Raw(msgspec.json.encode(_without_2_0(target)))
    return msgspec.json.encode(members)


def _without_2_0(members: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    if "context" in members:
        context = _decoder.decode(members["context"])
        removed = [context.pop(name, None) for name in _MEMBERS_OF_2_0]
        if any(item is not None for item in removed):
            members["context"] = msgspec.Raw(msgspec.json.encode(context))
    return members
