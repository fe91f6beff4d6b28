"""Responses to HTTP/1.0, in which no chunks exist: the end of the connection ends the body.

uvicorn sends a response without Content-Length in chunks (RFC 9112 6.1 forbids it for HTTP/1.0),
and closes the connection of an HTTP/1.0 request after its response.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """The application for one HTTP/1.0 request, whose response is not sent in chunks."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        has_length = True

        async def send_without_chunks(message: Message) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(
                    name.lower() == b"content-length" for name, _ in message.get("headers", ())
                )
                if not has_length:
                    cycle.chunked_encoding = False
            elif not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_without_chunks)

    return call
