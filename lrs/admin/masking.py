"""Masked identities, for viewers: the same pseudonym for the same identity of a partner.

Extensions, attachments and responses are removed, since they may contain identities too.
"""

from __future__ import annotations

import hmac
from typing import Any

_UNSAFE = ("extensions", "attachments")


class Masking:
    """Pseudonyms by a secret key: they cannot be guessed from known identities."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def pseudonym(self, partner_id: int, identity: str) -> str:
        """12 hexadecimal digits."""
        text = f"{partner_id} {identity}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, "sha256").hex()[:12]

    def statement(self, partner_id: int, statement: dict[str, Any]) -> dict[str, Any]:
        """The statement with masked agents, also those of a SubStatement."""
        masked = {name: value for name, value in statement.items() if name not in _UNSAFE}
        if isinstance(statement.get("actor"), dict):
            masked["actor"] = self.agent(partner_id, statement["actor"])
        if isinstance(statement.get("authority"), dict):
            masked["authority"] = self.agent(partner_id, statement["authority"])
        masked["object"] = self._object(partner_id, statement.get("object", {}))
        if isinstance(context := statement.get("context"), dict):
            masked["context"] = self._context(partner_id, context)
        if isinstance(result := statement.get("result"), dict):
            kept = {name: value for name, value in result.items() if name != "response"}
            masked["result"] = {name: value for name, value in kept.items() if name not in _UNSAFE}
        return masked

    def _object(self, partner_id: int, value: dict[str, Any]) -> dict[str, Any]:
        kind = value.get("objectType")
        if kind in ("Agent", "Group"):
            return self.agent(partner_id, value)
        if kind == "SubStatement":
            return self.statement(partner_id, value)
        return value

    def _context(self, partner_id: int, context: dict[str, Any]) -> dict[str, Any]:
        masked = {name: value for name, value in context.items() if name not in _UNSAFE}
        for name in ("instructor", "team"):
            if isinstance(context.get(name), dict):
                masked[name] = self.agent(partner_id, context[name])
        for name, key in (("contextAgents", "agent"), ("contextGroups", "group")):
            if isinstance(context.get(name), list):
                masked[name] = [
                    {**item, key: self.agent(partner_id, item[key])}
                    for item in context[name]
                    if isinstance(item, dict) and isinstance(item.get(key), dict)
                ]
        return masked

    def agent(self, partner_id: int, agent: dict[str, Any]) -> dict[str, Any]:
        """An agent or group with an account named by the pseudonym instead of its identifier."""
        masked: dict[str, Any] = {}
        if "objectType" in agent:
            masked["objectType"] = agent["objectType"]
        if (identity := _identity(agent)) is not None:
            name = self.pseudonym(partner_id, identity)
            masked["account"] = {"homePage": "urn:lrs:masked", "name": name}
        if isinstance(agent.get("member"), list):
            masked["member"] = [
                self.agent(partner_id, member)
                for member in agent["member"]
                if isinstance(member, dict)
            ]
        return masked


def _identity(agent: dict[str, Any]) -> str | None:
    for name in ("mbox", "mbox_sha1sum", "openid"):
        if name in agent:
            return f"{name} {agent[name]}"
    account = agent.get("account")
    if isinstance(account, dict):
        return f"account {account.get('homePage')} {account.get('name')}"
    return None
