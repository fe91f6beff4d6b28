"""Numbers with nouns in messages."""

from __future__ import annotations


def quantity(count: int, noun: str, plural: str = "") -> str:
    """Such as `1 event` and `2 events`; `plural` is for nouns that take another ending than `s`."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
