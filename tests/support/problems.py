"""The classes of problems, and the checks on a problem response."""

from __future__ import annotations

from collections.abc import Iterator

from lrs import errors
from lrs.errors import LRSError


def classes(of: type[LRSError] = LRSError) -> Iterator[type[LRSError]]:
    """The tree in the order in which it is drawn."""
    for each in of.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from classes(each)


CLASSES = list(classes())
