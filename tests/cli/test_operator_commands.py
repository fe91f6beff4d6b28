"""`lrs operator`."""

from __future__ import annotations

import json

import pytest

from tests.support.cli import Lrs, refused
from tests.support.operators import new_email


def test_added_operator_gets_a_link_and_is_listed(lrs: Lrs, name: str) -> None:
    email = new_email()
    result = lrs("operator", "add", email, "--role", "viewer", "--partner", name)
    assert result.exit_code == 0, result.output
    assert "/console/link?token=" in result.stdout
    (row,) = [row for row in json.loads(lrs("operator", "list", "--json").stdout)
              if row["email"] == email]  # fmt: skip
    assert (row["role"], row["partners"], row["has_password"]) == ("viewer", [name], False)
    header, *lines = lrs("operator", "list").stdout.splitlines()
    assert header.split("\t")[:3] == ["email", "role", "partners"]
    (line,) = [line for line in lines if line.startswith(email)]
    assert line.split("\t")[1:3] == ["viewer", name]


def test_link_has_the_public_url(lrs: Lrs) -> None:
    result = lrs("operator", "add", new_email(), "--role", "owner", "--public-url", "https://x.y/z")
    assert result.stdout.startswith("https://x.y/z/console/link?token=")


def test_changed_operator_is_listed_with_the_changes(lrs: Lrs, name: str) -> None:
    email = new_email()
    lrs("operator", "add", email, "--role", "viewer", "--partner", name)
    assert lrs("operator", "set", email, "--role", "owner", "--all-partners").exit_code == 0
    (line,) = [line for line in lrs("operator", "list").stdout.splitlines() if email in line]
    assert line.split("\t")[1:3] == ["owner", "all"]
    assert lrs("operator", "disable", email).exit_code == 0
    assert "is disabled" in refused(lrs("operator", "link", email))
    assert "is disabled" in refused(lrs("operator", "token", email))
    assert lrs("operator", "enable", email).exit_code == 0
    assert lrs("operator", "revoke", email).exit_code == 0


def test_token_is_printed_alone(lrs: Lrs) -> None:
    email = new_email()
    lrs("operator", "add", email, "--role", "owner")
    result = lrs("operator", "token", email, "--label", "backup script")
    (line,) = result.stdout.splitlines()
    assert line.startswith("lrsop_")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "jo", "--role", "owner"), "is not a valid email"),
        (("add", "jo@x.example", "--role", "owner", "--partner", "none"), "Partner 'none' not"),
        (("set", "nobody@x.example", "--role", "owner"), "not found"),
        (("disable", "nobody@x.example"), "not found"),
        (("link", "nobody@x.example"), "not found"),
        (("token", "nobody@x.example"), "not found"),
    ],
)
def test_refusal_is_one_sentence(lrs: Lrs, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(lrs("operator", *arguments))


def test_existing_operator_is_refused(lrs: Lrs) -> None:
    email = new_email()
    lrs("operator", "add", email, "--role", "owner")
    assert "already exists" in refused(lrs("operator", "add", email.upper(), "--role", "owner"))


@pytest.mark.parametrize(
    "arguments",
    [("add", "jo@x.example"), ("add", "jo@x.example", "--role", "admin"), ("set", "jo@x.example")],
)
def test_missing_or_wrong_role_is_a_usage_error(lrs: Lrs, arguments: tuple[str, ...]) -> None:
    assert lrs("operator", *arguments).exit_code == 2
