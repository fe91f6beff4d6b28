"""A check at start that the HTTP protocol works with the installed uvicorn."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from lrs.errors import OperatorError
from lrs.observability import metrics
from lrs.server.error_responses import OVERLOADED_BODY, OVERLOADED_HEADER
from lrs.server.http_protocol import LimitedHttpProtocol
from lrs.server.load_shedding import LoadShedder
from lrs.server.worker_limits import Limits


async def check_uvicorn() -> None:
    """Raise OperatorError unless LimitedHttpProtocol works with the installed uvicorn.

    Sends two pipelined requests through the protocol to a load shedder without slots: both must be
    rejected. With other internals of uvicorn, all limits could be off without any error.
    """
    rejections = b"".join([OVERLOADED_HEADER, OVERLOADED_BODY] * 2)
    transport = _RecordingTransport()
    try:
        shedder = LoadShedder(_unreachable, Limits(max_requests=0))
        config = uvicorn.Config(shedder, log_config=None, proxy_headers=False)
        protocol = LimitedHttpProtocol(config, ServerState(), {})
        protocol.connection_made(transport)
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx" * 2)
        protocol._reject()
        protocol._reject()
        protocol.data_received(b"POST / HTTP/1.1\r\n")
        protocol.check_timeouts(protocol.loop.time())
        protocol.connection_lost(None)
    except Exception as error:
        raise OperatorError(_INCOMPATIBLE_UVICORN) from error
    finally:
        metrics.SHED_REQUESTS.clear()  # no client has sent these requests
    if transport.written != rejections:
        raise OperatorError(_INCOMPATIBLE_UVICORN)


_INCOMPATIBLE_UVICORN = (
    f"The limits of the server do not work with uvicorn {uvicorn.__version__}; "
    "install the version that lrs-server requires."
)


async def _unreachable(*_: Any) -> None:
    raise AssertionError


class _RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing to close."""

    pause_reading = resume_reading = close
