"""Query parameters that select refused items, of partners and of operators."""

from __future__ import annotations

from lrs.store.intake import SOURCES
from lrs.xapi import query_params


def _source(text: str) -> str:
    if text not in SOURCES:
        raise ValueError(f"one of {', '.join(SOURCES)}")
    return text


def _pointer(text: str) -> str:
    if "\0" in text:
        raise ValueError("a JSON pointer")
    return text


PARSERS: dict[str, query_params.Parser] = {
    "code": query_params.text,
    "pointer": _pointer,
    "source": _source,
    "organization": query_params.text,
    "credential": query_params.text,
    "since": query_params.timestamp,
    "until": query_params.timestamp,
}
