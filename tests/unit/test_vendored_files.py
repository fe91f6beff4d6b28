"""Vendored files are what their packages contain."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import vendored


@pytest.mark.parametrize("listing", vendored.LISTS)
def test_vendored_files_have_their_hash(listing: str) -> None:
    assert vendored.wrong_files(vendored.ROOT / listing) == []


def test_changed_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("changed")
    listing = tmp_path / "SHA256SUMS"
    listing.write_text(f"{'0' * 64}  a.js\n{'0' * 64}  b.js\n")
    assert vendored.wrong_files(listing) == [str(tmp_path / "a.js"), str(tmp_path / "b.js")]
