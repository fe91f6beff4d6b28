"""What a worker holds of the resources that load shedding bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """`held` of at most `limit`: a number, or bytes if the name of the resource says so."""

    resource: str
    held: int
    limit: int
