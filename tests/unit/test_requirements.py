"""Requirements name sections that exist, of the version of the request."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from lrs.resources import schema_files
from lrs.xapi import requirements
from tests.support.files import ROOT
from tests.support.specification_sections import TITLES

SECTION = re.compile(r"(?:xAPI 1\.0\.3 (?:Data|Communication)|IEEE 9274\.1\.1|xAPI 2\.0) \d")
PREFIXES = {"1.0.3": "xAPI 1.0.3 ", "2.0.0": "IEEE 9274.1.1 "}

REQUIREMENTS = {
    name: value
    for name, value in vars(requirements).items()
    if isinstance(value, dict) and name.isupper()
}

# The requirement of each definition in the schemas, by a word in the titles of both sections.
SUBJECTS = {
    "iri": "IRIs",
    "uuid": "UUIDs",
    "timestamp": "Timestamps",
    "duration": "Durations",
    "language-tag": "Language",
    "language-map": "Language",
    "extensions": "Extensions",
    "mbox": "Inverse Functional Identifier",
    "mbox-sha1sum": "Inverse Functional Identifier",
    "openid": "Inverse Functional Identifier",
    "identified": "Inverse Functional Identifier",
    "one-identifier": "Inverse Functional Identifier",
    "account": "Account",
    "agent": "Agent",
    "group": "Group",
    "members": "Group",
    "actor": "Actor",
    "verb": "Verb",
    "object": "Object",
    "sub-object": "Object",
    "activity": "Activity",
    "definition": "Activity",
    "components": "Activity",
    "statement-ref": "Statement",
    "sub-statement": "Statement",
    "result": "Result",
    "score": "Score",
    "context": "Context",
    "context-activities": "ContextActivities",
    "context-agents": "Context",
    "context-groups": "Context",
    "authority": "Authority",
    "authority-group": "Authority",
    "attachment": "Attachments",
    "attachments": "Attachments",
    "voiding": "Voiding",
    "activity-only": "Context",
}
# The definitions in the schemas by the title of their section of IEEE 9274.1.1.
IEEE_SUBJECTS = {
    "Statement": "statement version authority authority-group",
    "Actor": "mbox mbox-sha1sum openid identified one-identifier account agent group members actor",
    "Verb": "verb",
    "Object": "object sub-object activity definition components statement-ref sub-statement",
    "Result": "result score",
    "Context": "context context-activities context-agents context-groups activity-only",
    "Attachments": "attachment attachments",
    "Statement Voiding": "voiding",
    "Statement Signing": "contentType",
    "Additional Requirements for Data Types": (
        "iri uuid timestamp duration language-tag language-map extensions"
    ),
}
NESTED_SUBJECTS = {"contentType": "Signed Statements", "version": "Version"}


def annotations(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The `x-requirement` annotations below a node, with their paths."""
    if isinstance(node, dict):
        if "x-requirement" in node:
            yield path, node["x-requirement"]
        for name, child in node.items():
            yield from annotations(child, (*path, name))
    elif isinstance(node, list):
        for child in node:
            yield from annotations(child, path)


def schema_annotations() -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, content in schema_files().items():
        if name.startswith("xapi/"):
            yield from annotations(orjson.loads(content))


def test_requirements_of_the_schemas_are_sections_of_their_subject() -> None:
    found = list(schema_annotations())
    assert len(found) > 40
    for path, requirement in found:
        assert requirement.keys() == PREFIXES.keys(), path
        for version, section in requirement.items():
            assert section in TITLES, (path, section)
            assert section.startswith(PREFIXES[version])
        subject = NESTED_SUBJECTS.get(path[-1]) if path else "Properties"
        if path and not subject:
            subject = SUBJECTS[path[path.index("$defs") + 1]]
        assert subject in TITLES[requirement["1.0.3"]], (path, requirement)
        name = path[-1] if path and path[-1] in NESTED_SUBJECTS else "statement"
        if "$defs" in path and name == "statement":
            name = path[path.index("$defs") + 1]
        assert name in IEEE_SUBJECTS[TITLES[requirement["2.0.0"]]].split(), (path, requirement)


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirement_is_a_section_of_each_version(name: str) -> None:
    requirement = REQUIREMENTS[name]
    assert requirement.keys() == PREFIXES.keys()
    for version, section in requirement.items():
        assert section.startswith(PREFIXES[version])
        assert section in TITLES


WORDS = {
    "STATEMENT_COMPARISON": ("Statement Immutability", "LRS Data Requirements"),
    "SIGNATURE": ("Signed Statements", "Statement Signing"),
    "ATTACHMENT_CONTENT": ("Multipart/Mixed", "Content Types"),
    "PUT_STATEMENT": ("PUT Statements", "Statement Resource"),
    "POST_STATEMENTS": ("POST Statements", "Statement Resource"),
    "GET_STATEMENTS": ("GET Statements", "Statement Resource"),
    **{
        name.upper().replace(" ", "_"): (f"{name} Resource", f"{name} Resource")
        for name in ("State", "Agents", "Activities", "Agent Profile", "Activity Profile")
    },
}


def test_requirements_have_the_sections_of_their_titles() -> None:
    titles = {
        name: tuple(TITLES[requirement[version]] for version in ("1.0.3", "2.0.0"))
        for name, requirement in REQUIREMENTS.items()
    }
    assert titles == WORDS


def strings(tree: ast.AST) -> Iterator[str]:
    """The string literals of a module that are no docstrings, with those in f-strings."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in documentation:
            yield node.value


@pytest.mark.slow
def test_no_other_module_names_sections() -> None:
    """A section of one version in a module would be the answer to requests of the other one too."""
    for path in (ROOT / "lrs").rglob("*.py"):
        if path.name == "requirements.py" and path.parent.name == "xapi":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert [text for text in strings(tree) if SECTION.search(text)] == [], path
