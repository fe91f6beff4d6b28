"""The ASGI application of one worker process of `lrs serve`, behind load shedding."""

from __future__ import annotations

import logging.config
import multiprocessing.process
import os
import signal
import threading

from starlette.types import ASGIApp

from lrs.app import create_app
from lrs.environment import from_environment
from lrs.observability import logs
from lrs.server import garbage_collection
from lrs.server.load_shedding import Admission
from lrs.server.proxy_headers import Forwarded


def create_worker() -> ASGIApp:
    """The application of one worker process, configured by its environment.

    One of several workers ends when its supervisor ends.
    """
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    settings = from_environment()
    logging.config.dictConfig(logs.configuration(settings.log_level))
    app = Admission(
        Forwarded(create_app(settings), settings.trusted_proxies),
        most_requests=settings.max_concurrent_requests,
        most_bytes=max(settings.max_inflight_body_bytes, settings.max_body_bytes),
    )
    garbage_collection.spare()
    return app


def _end_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
