"""A socket that answers whatever comes, unread: python -m scripts.bench.raw PORT.

Next to no work on this side, so that what is measured is the load generator.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"


class Answering(asyncio.Protocol):
    """Takes each piece that arrives for one request, as small requests are."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
