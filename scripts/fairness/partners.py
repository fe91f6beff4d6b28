"""The partners of a fairness run: the victim, the attacker and its reporting role."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict

from scripts.fairness.attacks import Target
from scripts.fairness.victim import Client, authenticate

_OPERATOR = "mallory@example.com"

Command = Callable[..., str]
"""Runs a command of `lrs` with these arguments, and returns its output."""


def add(lrs: Command, url: str) -> tuple[Client, Target]:
    """Adds the partners `victim` and `mallory`, and a role that reads the reports of `mallory`."""
    client = authenticate(url, "victim", *_add_partner(lrs, "victim"))
    attacker = authenticate(url, "mallory", *_add_partner(lrs, "mallory"))
    role = _fields(lrs("reports", "grant", "mallory"))
    lrs("operator", "add", _OPERATOR, "--role", "operator", "--partner", "mallory")
    token = lrs("operator", "token", _OPERATOR).split()[0]
    return client, Target(**asdict(attacker), reader_dsn=role["url"], operator_token=token)


def _add_partner(lrs: Command, name: str) -> tuple[str, str]:
    lrs("partner", "add", name)
    scopes = ("--scope", "all", "--scope", "admin")
    credential = _fields(lrs("credential", "add", name, "--label", name, *scopes))
    return credential["key"], credential["secret"]


def _fields(output: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)\s+(\S+)$", output, re.MULTILINE))
