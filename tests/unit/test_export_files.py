"""The files of an export: without names until all are complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lrs.cli.export_files import export_files
from lrs.errors import InvalidParameter

NAMES = ("last", "a", "b")


@pytest.fixture(params=["unnamed", "named"])
def out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory on a file system that supports files without names, and on one that does not."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return tmp_path / "deep" / "out"


def write(out: Path, content: bytes) -> None:
    with export_files(out, "last") as files:
        for name in NAMES:
            with files.create(name) as file:
                file.write(content)


def test_files_replace_earlier_ones(out: Path) -> None:
    for content in (b"1", b"22"):
        write(out, content)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == dict.fromkeys(
            NAMES, content
        )


def test_failed_export_leaves_nothing(out: Path) -> None:
    def fail() -> None:
        with export_files(out, "last") as files:
            with files.create("a") as file:
                file.write(b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not out.exists()


def test_files_of_a_killed_export_are_removed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the file system has no files without names; those of a live export stay."""
    monkeypatch.delattr(os, "O_TMPFILE")
    killed = tmp_path / ".export-killed"
    killed.mkdir()
    (killed / "lock").touch()
    with export_files(tmp_path, "last") as live:
        with live.create("a") as file:
            file.write(b"1")
        assert not killed.exists()
        with export_files(tmp_path, "last") as files, files.create("last"):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("below", [".", "x", "x/y"])
def test_output_below_a_file_is_refused_at_once(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InvalidParameter, match="Not a directory"),
        export_files(tmp_path / "file" / below, "last") as files,
        files.create("a"),
    ):
        raise AssertionError
