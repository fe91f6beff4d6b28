"""docs/architecture.md names existing modules and the tested layers."""

from __future__ import annotations

import re
from pathlib import Path

import lrs
from tests.support.files import DOCS
from tests.unit.test_architecture import LAYERS

DOCUMENT = (DOCS / "architecture.md").read_text(encoding="utf-8")
PACKAGE = Path(lrs.__file__).parent


def test_named_modules_exist() -> None:
    names = set(re.findall(r"[a-z_]+(?:/[a-z_]+)*\.py", DOCUMENT))
    existing = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    ends = {name for path in existing for name in (path, path.rpartition("/")[2])}
    outside = {name for name in names if (PACKAGE.parent / name).exists()}
    assert len(names) > 30
    assert names - {name for name in names if name.removeprefix("lrs/") in ends} - outside == set()


def test_layers_are_drawn_in_their_order() -> None:
    drawing = DOCUMENT.split("```")[1]
    positions = []
    for layer in LAYERS:
        matches = [re.search(rf"(^|, ){name}\b", drawing, re.MULTILINE) for name in sorted(layer)]
        assert all(matches), layer
        positions.append(min(match.start() for match in matches if match))
    assert positions == sorted(positions)
