"""docs/configuration.md lists every setting, and no other."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest

from lrs.cli import main
from lrs.environment import from_environment
from lrs.settings import PREFIX, Settings, documented
from tests.support.files import DOCS
from tests.support.settings_docs import variable

DOCUMENT = (DOCS / "configuration.md").read_text(encoding="utf-8")
FLAGS = {
    parameter.name: parameter.opts[0]
    for parameter in main.serve.params
    if isinstance(parameter, click.Option)
}
KEY = "k" * 32


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def row(name: str, schema: dict[str, Any]) -> str:
    default = schema["default"]
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    cells = [code(variable(name)), code(FLAGS.get(name, "")), code(shown), schema["description"]]
    return f"| {' | '.join(cells)} |"


# The document


@pytest.mark.parametrize("name", documented())
def test_every_setting_has_its_line(name: str) -> None:
    assert row(name, documented()[name]) in DOCUMENT.splitlines()


def test_the_document_names_no_other_variable() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", DOCUMENT))
    known = {variable(name) for name in documented()}
    assert {each.removesuffix("_FILE") for each in named} <= known


def test_the_lines_are_in_the_order_of_the_code() -> None:
    listed = re.findall(rf"^\| `({PREFIX}\w+)` \|", DOCUMENT, re.MULTILINE)
    assert listed == [variable(name) for name in Settings.__struct_fields__]


def test_flags_are_settings() -> None:
    assert set(FLAGS) <= set(documented())


def test_the_examples_can_be_used() -> None:
    given = re.findall(rf"^(?:export )?({PREFIX}\w+)=(\S+)", DOCUMENT, re.MULTILINE)
    assert len(given) > 5
    environ = {name: value for name, value in given if not name.endswith("_FILE")}
    assert from_environment(environ).workers == 4
