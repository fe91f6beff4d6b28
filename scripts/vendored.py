"""Verify the SHA-256 of vendored files: python -m scripts.vendored. `make check` runs it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LISTS = ("lrs/api/static/SHA256SUMS", "lrs/console/static/SHA256SUMS")
"""In the format of sha256sum; paths are relative to the directory of the list."""


def wrong_files(listing: Path) -> list[str]:
    """The files of a list that are missing or differ."""
    wrong = []
    for line in listing.read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        file = listing.parent / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            wrong.append(str(file))
    return wrong


def main() -> int:
    wrong = [name for listing in LISTS for name in wrong_files(ROOT / listing)]
    for name in wrong:
        print(f"{name} is missing or differs from its SHA-256", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
