"""Bodies and results of the partner statement interface."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.support.files import FIXTURES
from tests.support.statements import statement

NOON = "2026-05-08T12:00:00Z"
SEEDS = {
    path.stem: path.read_bytes()
    for pattern in ("datacamp-*.json", "percipio-statement*.json", "canvas-*.json")
    for path in sorted((FIXTURES / "seeds").glob(pattern))
}
BROKEN = {"actor": {"mbox": "nobody"}, "verb": {"id": "completed"}, "surplus": 1}


def of_size(size: int, **members: Any) -> bytes:
    """A valid statement of exactly `size` bytes, some of them white space."""
    text = json.dumps(statement(**members), indent=1)
    assert len(text) < size
    return (text[:-1] + " " * (size - len(text)) + "}").encode()


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]


def outcomes(response: httpx.Response) -> list[str]:
    return [result["outcome"] for result in response.json()["results"]]
