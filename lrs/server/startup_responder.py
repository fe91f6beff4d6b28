"""Responses while the server starts: crash recovery and migrations may take minutes.

`/healthz` is 200, since a restart would start over. Everything else is 503 with the present step.
"""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from lrs.api import problem_details
from lrs.errors import Unavailable

_CLIENT_TIMEOUT_SECONDS = 2.0
_POLL_SECONDS = 0.02


class StartupResponder:
    """Accepts the connections of a listening socket until `close`, which leaves it to the workers.

    It listens all the time: connections after `close` wait for a worker.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.step = "the database starts"
        responder = self

        class Handler(_Handler):
            startup = responder

        self._server = _Server(listener, Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(listener.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnects is no error."""


class _Handler(BaseHTTPRequestHandler):
    startup: StartupResponder
    timeout = _CLIENT_TIMEOUT_SECONDS
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        """Respond to the header of any method, and close the connection."""
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            return
        self.close_connection = True
        if self.path.partition("?")[0] == "/healthz":
            self._respond(200, "text/plain; charset=utf-8", b"ok\n")
        else:
            error = Unavailable(f"The server is starting: {self.startup.step}.")
            body = orjson.dumps(problem_details.problem(error) | {"ready": False})
            self._respond(503, problem_details.MEDIA_TYPE, body)

    def _respond(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "1")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Not logged: the request log begins with the workers."""
