"""Structured logs on standard error: one JSON object per line, with the request id."""

from __future__ import annotations

import logging
import logging.config
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


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
                "()": "pythonjsonlogger.orjson.OrjsonFormatter",
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
        },
    }
