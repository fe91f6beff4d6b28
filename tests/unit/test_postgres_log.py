"""The maximum size of the log of the embedded PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from lrs.embedded_postgres.process import limit_log


def test_log_over_its_maximum_moves_to_the_previous_log(tmp_path: Path) -> None:
    """PostgreSQL continues to append to the same file."""
    log, previous = tmp_path / "postgres.log", tmp_path / "postgres.log.1"
    limit_log(tmp_path)
    with log.open("ab", buffering=0) as postgres:
        for line in (b"first\n", b"second\n"):
            postgres.write(line)
            limit_log(tmp_path, max_bytes=len(line))
            assert log.read_bytes() == line
            limit_log(tmp_path, max_bytes=len(line) - 1)
            assert (log.read_bytes(), previous.read_bytes()) == (b"", line)


def test_previous_log_that_is_a_symbolic_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "postgres.log").write_text("line")
    (tmp_path / "other").write_text("kept")
    (tmp_path / "postgres.log.1").symlink_to(tmp_path / "other")
    limit_log(tmp_path, max_bytes=1)
    assert (tmp_path / "other").read_text() == "kept"
    assert not (tmp_path / "postgres.log.1").is_symlink()
