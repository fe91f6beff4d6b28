"""docs/configuration.md lists every setting, and no other."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest

from lrs.environment import from_environment
from lrs.settings import PREFIX, SUBJECTS, settings_schema
from tests.support.commands import resolve
from tests.support.files import DOCS
from tests.support.settings_docs import variable

DOCUMENT = (DOCS / "configuration.md").read_text(encoding="utf-8")
FLAGS = {
    parameter.name: parameter.opts[0]
    for parameter in resolve(["serve"])[0].params
    if isinstance(parameter, click.Option)
}
KEY = "k" * 32


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def row(name: str, schema: dict[str, Any]) -> str:
    default = schema["default"]
    displayed = str(default).lower() if isinstance(default, bool) else str(default)
    cells = [
        code(variable(name)),
        code(FLAGS.get(name, "")),
        code(displayed),
        schema["description"],
    ]
    return f"| {' | '.join(cells)} |"


# The document


@pytest.mark.parametrize("name", settings_schema())
def test_setting_has_a_row(name: str) -> None:
    assert row(name, settings_schema()[name]) in DOCUMENT.splitlines()


def test_documented_variables_exist() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", DOCUMENT))
    existing = {variable(name) for name in settings_schema()}
    assert {item.removesuffix("_FILE") for item in named} <= existing


def test_sections_are_the_subjects_of_the_settings() -> None:
    rows = [
        re.findall(rf"^\| `({PREFIX}\w+)` \|", section, re.MULTILINE)
        for section in DOCUMENT.split("\n### ")[1:]
    ]
    assert rows == [[variable(name) for name in subject.__annotations__] for subject in SUBJECTS]


def test_flags_are_settings() -> None:
    assert set(FLAGS) <= set(settings_schema())


def test_examples_are_valid() -> None:
    argument = re.findall(rf"^(?:export )?({PREFIX}\w+)=(\S+)", DOCUMENT, re.MULTILINE)
    assert len(argument) > 5
    environ = {name: value for name, value in argument if not name.endswith("_FILE")}
    assert from_environment(environ).workers == 4
