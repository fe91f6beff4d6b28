"""Applications and raw HTTP requests for the load shedding tests."""

from __future__ import annotations

import asyncio


async def answer_to(port: int, *pieces: bytes, pause: float = 0.05) -> bytes:
    """The response to the pieces, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        async with asyncio.timeout(5):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(pause)
            while more := await reader.read(65_536):
                answer += more
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answer
