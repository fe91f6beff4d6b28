"""Structured logs on standard error: one JSON object per line, with the request id."""

from __future__ import annotations

import logging
import logging.config
import re
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


# C1 control characters, line separators and characters that change the direction of text: some
# terminals execute them, and JSON does not require escapes for them.
_UNSAFE = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class JSONFormatter(OrjsonFormatter):
    """Escapes every character of a request that could control the terminal of the operator."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        if line.isascii():
            return line
        return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


class RequestIdFilter(logging.Filter):
    """Adds the id of the current request to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (identity := request_id.get()) is not None:
            record.request_id = identity
        return True


def configuration(level: str) -> dict[str, Any]:
    """Configuration for logging.config.dictConfig, of our loggers and uvicorn's."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "lrs.observability.logs.RequestIdFilter"},
            "repeats": {"()": "lrs.observability.repeats.RepeatFilter"},
        },
        "formatters": {
            "json": {
                "()": "lrs.observability.logs.JSONFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                # uvicorn adds a second, colored message for terminals.
                "reserved_attrs": [*RESERVED_ATTRS, "color_message", "repeats_summary"],
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            }
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "json",
                "filters": ["request_id", "repeats"],
            }
        },
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            # lrs.requests logs the same with a request id.
            "uvicorn.access": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            # Its pools log a traceback for each attempt to connect; requests log the outage.
            "asyncpg": {"level": "ERROR"},
        },
    }
