"""What is measured, one module for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lab:
    """How it is measured: each load lasts `seconds`; `stored` is the most statements to hold."""

    folder: Path
    seconds: int
    workers: int
    stored: int
