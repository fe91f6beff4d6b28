"""Write `docs/modules.md`: every module of the package with the first sentence of its docstring.

python -m scripts.module_list
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATH = ROOT / "docs" / "modules.md"

_HEAD = """\
# Modules

Generated from the docstrings of the modules by `make reference`: do not edit.
[Architecture](architecture.md) has the layers, and the path of a request through them.
"""


def module_list() -> str:
    """The content of `docs/modules.md`."""
    packages = sorted(path.parent for path in (ROOT / "lrs").rglob("__init__.py"))
    return "\n".join([_HEAD, *map(_section, packages)])


def _section(package: Path) -> str:
    rows = [f"| `{path.name}` | {summary(path)} |" for path in modules(package)]
    title = f"## {package.relative_to(ROOT)}\n\n{summary(package / '__init__.py')}\n"
    return "\n".join([title, "| module | content |", "|---|---|", *rows, ""]) if rows else title


def modules(package: Path) -> Iterator[Path]:
    """The modules directly in a package."""
    return (path for path in sorted(package.glob("*.py")) if path.name != "__init__.py")


def summary(path: Path) -> str:
    """The first paragraph of the docstring of a module, on one line; empty without a docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PATH.write_text(module_list(), encoding="utf-8")
