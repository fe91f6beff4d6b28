"""Numbers with nouns in messages."""

from __future__ import annotations

import pytest

from lrs.plurals import quantity


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 events"), (1, "1 event"), (2, "2 events"), (21, "21 events")]
)
def test_noun_is_singular_for_one_only(count: int, text: str) -> None:
    assert quantity(count, "event") == text


def test_irregular_plural_is_used_as_is() -> None:
    texts = [quantity(count, "alias", "aliases") for count in (1, 2)]
    assert texts == ["1 alias", "2 aliases"]
