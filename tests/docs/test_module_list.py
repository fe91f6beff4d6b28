"""`docs/modules.md` lists every module, and docstrings of packages name existing modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.module_list import PATH, ROOT, module_list, modules, summary

PACKAGES = sorted(path.parent for path in (ROOT / "lrs").rglob("__init__.py"))
MODULES = [path for package in PACKAGES for path in modules(package)]


def test_document_has_every_module() -> None:
    assert PATH.read_text(encoding="utf-8") == module_list(), "run `make reference`"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_has_a_summary(path: Path) -> None:
    assert summary(path).endswith(".")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_map_in_the_docstring_of_a_package_names_existing_modules(package: Path) -> None:
    """A map has a line for each name: its indentation, the name, and at least two spaces."""
    text = (package / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
    for name in re.findall(r"^ *([a-z_]+/?)(?:  +\S|$)", text, re.MULTILINE):
        assert (package / name).is_dir() or (package / f"{name}.py").is_file(), name
