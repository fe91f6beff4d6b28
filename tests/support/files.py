"""Paths of the repository and of the test fixtures."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FIXTURES = ROOT / "tests" / "fixtures"
SEEDS = FIXTURES / "seeds"
