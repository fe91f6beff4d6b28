"""Query parameters of an import: how its table is read, and whether it is a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request

from lrs.api import request_parsing
from lrs.imports.dates import DATE_FORMATS
from lrs.imports.tables import DELIMITERS, TableOptions
from lrs.xapi import query_params
from lrs.xapi.query_params import Parser

_REPEATABLE = ("map", "set")


class ImportQuery(NamedTuple):
    """The parameters of an import; `values` are those of the resource alone."""

    is_preview: bool
    table: TableOptions
    values: dict[str, Any]


def parse(request: Request, parsers: Mapping[str, Parser], *, section: str) -> ImportQuery:
    """The parameters of a request, `parsers` for those of the resource. Raises InvalidParameter."""
    parameters = request_parsing.query_parameters(request)
    once = [(name, text) for name, text in parameters if name not in _REPEATABLE]
    values = query_params.parse(once, {**_PARSERS, **parsers}, section=section)
    delimiter = values.get("delimiter")
    table = TableOptions(
        kind=values.get("type"),
        headers=_pairs(parameters, "map", section),
        constants=_pairs(parameters, "set", section),
        date_format=values.get("dates", DATE_FORMATS[0]),
        delimiter=DELIMITERS[delimiter] if delimiter else None,
        encoding=values.get("encoding") or _charset(request),
    )
    return ImportQuery(
        values.get("preview", False),
        table,
        {name: value for name, value in values.items() if name in parsers},
    )


def _pairs(parameters: list[tuple[str, str]], parameter: str, section: str) -> dict[str, str]:
    """The columns of `map=email=Work E-mail`, with their texts."""
    pairs: dict[str, str] = {}
    errors: list[tuple[str, str]] = []
    for _, value in (item for item in parameters if item[0] == parameter):
        name, _, text = (part.strip() for part in value.partition("="))
        if not name or not text or "\0" in value:
            errors.append((parameter, f"must be a column, = and a text, found {value[:80]!r}"))
        elif name in pairs:
            errors.append((parameter, f"must not repeat the column {name[:80]!r}"))
        pairs[name] = text
    query_params.raise_if_invalid(errors, section=section)
    return pairs


def _charset(request: Request) -> str | None:
    """The encoding that the Content-Type names, if any."""
    sent = request_parsing.header(request.scope, b"content-type") or ""
    for parameter in sent.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"') or None
    return None


def _one_of(*values: str) -> Parser:
    def parse_one(text: str) -> str:
        if text not in values:
            raise ValueError(" or ".join(values))
        return text

    return parse_one


_PARSERS: dict[str, Parser] = {
    "preview": query_params.boolean,
    "type": query_params.text,
    "dates": _one_of(*DATE_FORMATS),
    "delimiter": _one_of(*DELIMITERS),
    "encoding": query_params.text,
}
