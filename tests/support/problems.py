"""The classes of problems, and the checks on a problem response."""

from __future__ import annotations

from collections.abc import Iterator

from lrs import errors
from lrs.errors import LRSError


def classes(of: type[LRSError] = LRSError) -> Iterator[type[LRSError]]:
    """The subclasses in the order of the documented tree."""
    for item in of.__subclasses__():
        if item.__module__ == errors.__name__:
            yield item
            yield from classes(item)


CLASSES = list(classes())
