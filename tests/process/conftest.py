"""Fixtures of the process tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="lrs-test-")).resolve()
    yield parent / "data"
    shutil.rmtree(parent)
